import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Clock, DocumentRequest, DocumentResponse, TokenRequest, TokenRule } from "../../src/identity/index.ts";

/** A clock that only moves when told to; both of its hands move together unless the wall clock is set. */
export class HandClock implements Clock {
  #wall = 1_800_000_000_000;
  #monotonic = 1_000;

  wallMs(): number {
    return this.#wall;
  }

  monotonicMs(): number {
    return this.#monotonic;
  }

  pass(ms: number): void {
    this.#wall += ms;
    this.#monotonic += ms;
  }

  set(wallMs: number): void {
    this.#wall = wallMs;
  }

  get nowSec(): number {
    return this.#wall / 1000;
  }
}

export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly jwk: Record<string, unknown>;
}

export function makeKey(kid: string, alg: "RS256" | "ES256" | "EdDSA" = "ES256"): SigningKey {
  const pair =
    alg === "RS256"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : alg === "ES256"
        ? generateKeyPairSync("ec", { namedCurve: "P-256" })
        : generateKeyPairSync("ed25519");
  const jwk = { ...pair.publicKey.export({ format: "jwk" }), kid, alg, use: "sig" };
  return { kid, alg, privateKey: pair.privateKey, jwk };
}

export function mint(key: SigningKey, claims: object, header: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: key.alg, kid: key.kid, ...header })}.${part(claims)}`;
  const signature = sign(key.alg === "EdDSA" ? null : "sha256", Buffer.from(signed), {
    key: key.privateKey,
    dsaEncoding: "ieee-p1363",
  });
  return `${signed}.${signature.toString("base64url")}`;
}

export function keySetOf(...keys: readonly SigningKey[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
}

export const RULE: TokenRule = {
  issuer: "https://issuer.test",
  audiences: [],
  jwksUri: "",
  jwks: "",
  timeoutMs: 1000,
  fromHeaders: [],
  fromParams: [],
  fromCookies: [],
  forwardOriginalToken: false,
  outputPayloadToHeader: "",
  outputClaimToHeaders: [],
  spaceDelimitedClaims: [],
};

export function bearer(token: string): TokenRequest {
  return { method: "GET", path: "/", headers: { authorization: `Bearer ${token}` } };
}

/** Answers of one server, by URL; counts what is asked of it. */
export class StubServer {
  readonly requests: DocumentRequest[] = [];
  readonly answers = new Map<string, string | DocumentResponse | Error | Promise<DocumentResponse>>();

  readonly fetchDocument = async (request: DocumentRequest): Promise<DocumentResponse> => {
    this.requests.push(request);
    const answer = await this.answers.get(request.url);
    if (answer instanceof Error) throw answer;
    if (answer === undefined) return { status: 404, body: "" };
    return typeof answer === "string" ? { status: 200, body: answer } : answer;
  };
}
