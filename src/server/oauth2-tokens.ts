import { createPrivateKey, type KeyObject, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CompactSign } from "jose";
import type { Oauth2Config, SignedProof } from "../config/index.ts";
import { toJsonText, type Value } from "../rego/value/index.ts";

export interface TokenReply {
  readonly status: number;
  readonly body: Uint8Array;
}

/** A token this near its end is not used any more. */
const MIN_LIFETIME_MS = 10_000;

const CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/** Lifetime of an assertion that we sign. */
const ASSERTION_SECONDS = 600;

/** Access tokens by the grants `client_credentials` and `jwt-bearer`, as OPA asks for them (v1/plugins/rest/auth.go). */
export class Oauth2Tokens {
  readonly #config: Oauth2Config;
  readonly #post: (headers: Readonly<Record<string, string>>, body: Uint8Array) => Promise<TokenReply>;
  #key: KeyObject | Uint8Array | undefined;
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
    const { clientId, proof, additionalHeaders } = this.#config;
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      ...(proof.kind === "secret" && { authorization: basic(clientId, proof.secret) }),
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
    const { scopes, additionalParameters, clientId, proof } = this.#config;
    const form = new URLSearchParams();
    if (scopes.length > 0) form.set("scope", scopes.join(" "));
    for (const [name, value] of Object.entries(additionalParameters)) form.set(name, value);
    if (proof.kind === "signed" && proof.isGrant) {
      form.set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
      form.set("assertion", await this.#signed(proof));
      return form;
    }
    form.set("grant_type", "client_credentials");
    if (proof.kind === "secret") return form;
    form.set("client_assertion_type", proof.kind === "signed" ? CLIENT_ASSERTION_TYPE : proof.type);
    form.set("client_assertion", await this.#assertion(proof));
    if (clientId !== "") form.set("client_id", clientId);
    return form;
  }

  async #assertion(proof: Exclude<Oauth2Config["proof"], { readonly kind: "secret" }>): Promise<string> {
    switch (proof.kind) {
      case "assertion":
        return proof.text;
      case "assertion_file":
        return (await readFile(proof.path, "utf8")).trim();
      case "signed":
        return this.#signed(proof);
    }
  }

  async #signed(proof: SignedProof): Promise<string> {
    const { algorithm, x5t, claims, includesJti } = proof;
    const { scopes } = this.#config;
    const nowSeconds = Math.floor(Date.now() / 1000);
    const payload = {
      iat: nowSeconds,
      exp: nowSeconds + ASSERTION_SECONDS,
      ...claims,
      ...(scopes.length > 0 && { scope: scopes.join(" ") }),
      ...(includesJti && { jti: randomUUID() }),
    };
    this.#key ??= signingKey(proof);
    return new CompactSign(Buffer.from(toJsonText(payload as Value)))
      .setProtectedHeader({ typ: "JWT", alg: algorithm, ...(x5t !== "" && { x5t }) })
      .sign(this.#key);
  }
}

function signingKey({ algorithm, privateKey }: SignedProof): KeyObject | Uint8Array {
  return algorithm.startsWith("HS") ? Buffer.from(privateKey) : createPrivateKey(privateKey);
}

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
}
