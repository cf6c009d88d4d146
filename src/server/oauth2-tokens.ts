import { readFile } from "node:fs/promises";
import type { Oauth2Config } from "../config/index.ts";

export interface TokenReply {
  readonly status: number;
  readonly body: Uint8Array;
}

/** A token this near its end is not used any more. */
const MIN_LIFETIME_MS = 10_000;

/** Access tokens by the grant `client_credentials`, as OPA asks for them (v1/plugins/rest/auth.go). */
export class Oauth2Tokens {
  readonly #config: Oauth2Config;
  readonly #post: (headers: Readonly<Record<string, string>>, body: Uint8Array) => Promise<TokenReply>;
  #token: { readonly text: string; readonly expiresAtMs: number } | undefined;
  #underWay: Promise<string> | undefined;

  /** @param post  Sends a form to the token endpoint. */
  constructor(
    config: Oauth2Config,
    post: (headers: Readonly<Record<string, string>>, body: Uint8Array) => Promise<TokenReply>,
  ) {
    this.#config = config;
    this.#post = post;
  }

  /** A token that is good for a while; however many ask, one is fetched at a time. @throws */
  async current(): Promise<string> {
    if (this.#token !== undefined && this.#token.expiresAtMs - Date.now() >= MIN_LIFETIME_MS) return this.#token.text;
    this.#underWay ??= this.#fetch().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  /** The next request fetches a new one. */
  forget(): void {
    this.#token = undefined;
  }

  async #fetch(): Promise<string> {
    const { clientId, clientSecret, additionalHeaders } = this.#config;
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      ...(clientSecret !== "" && { authorization: basic(clientId, clientSecret) }),
      ...additionalHeaders,
    };
    const reply = await this.#post(headers, Buffer.from((await this.#form()).toString()));
    const text = Buffer.from(reply.body).toString("utf8");
    if (reply.status !== 200) throw new Error(`error in response from OAuth2 token endpoint: ${text.slice(0, 500)}`);
    const answer = JSON.parse(text) as { token_type?: unknown; access_token?: unknown; expires_in?: unknown };
    if (typeof answer.token_type !== "string" || answer.token_type.toLowerCase() !== "bearer")
      throw new Error("unknown token type returned from token endpoint");
    if (typeof answer.access_token !== "string") throw new Error("no token returned from token endpoint");
    const lifetimeMs = typeof answer.expires_in === "number" ? answer.expires_in * 1000 : 0;
    this.#token = { text: answer.access_token.trim(), expiresAtMs: Date.now() + lifetimeMs };
    return this.#token.text;
  }

  async #form(): Promise<URLSearchParams> {
    const { scopes, additionalParameters, clientId, clientSecret, clientAssertionType } = this.#config;
    const form = new URLSearchParams();
    if (scopes.length > 0) form.set("scope", scopes.join(" "));
    for (const [name, value] of Object.entries(additionalParameters)) form.set(name, value);
    form.set("grant_type", "client_credentials");
    if (clientSecret !== "") return form;
    form.set("client_assertion_type", clientAssertionType);
    form.set("client_assertion", await this.#assertion());
    form.set("client_id", clientId);
    return form;
  }

  async #assertion(): Promise<string> {
    const { clientAssertion, clientAssertionPath } = this.#config;
    return clientAssertionPath === "" ? clientAssertion : (await readFile(clientAssertionPath, "utf8")).trim();
  }
}

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
}
