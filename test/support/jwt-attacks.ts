import { readFileSync } from "node:fs";
import type { TokenRequest, TokenRule } from "../../src/identity/index.ts";
import { caseFolder } from "./cases.ts";

/** A case of attacks.json. */
export interface AttackCase {
  readonly id: string;
  readonly category: string;
  readonly description: string;
  readonly policy: string;
  readonly must: string;
  /** In bytes, as base64. */
  readonly check_request_wire?: string;
  readonly check_request?: {
    readonly attributes?: { readonly request?: { readonly http?: AttackHttp } };
  } | null;
}

interface AttackHttp {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly headerMap?: { readonly headers: readonly { key: string; value?: string; rawValue?: string }[] };
  readonly header_map?: { readonly headers: readonly { key: string; value?: string; raw_value?: string }[] };
}

export interface AttackKeys {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: unknown;
  readonly issuer_b: { readonly issuer: string; readonly jwks: unknown };
  readonly private: { readonly rsa: Record<string, string>; readonly ec: Record<string, string> };
}

export function readAttacks(): readonly AttackCase[] {
  const file = caseFolder("attacks.json");
  return file === undefined ? [] : (JSON.parse(readFileSync(file, "utf8")) as AttackCase[]);
}

export function readAttackKeys(): AttackKeys {
  return JSON.parse(readFileSync(caseFolder("attacks.keys.json") as string, "utf8")) as AttackKeys;
}

export const NO_RULE: TokenRule = {
  issuer: "",
  audiences: [],
  jwksUri: "",
  jwks: "",
  timeoutMs: 5000,
  fromHeaders: [],
  fromParams: [],
  fromCookies: [],
  forwardOriginalToken: false,
  outputPayloadToHeader: "",
  outputClaimToHeaders: [],
  spaceDelimitedClaims: [],
};

/** Fields of one name stay apart. */
export function requestOf(tc: AttackCase): TokenRequest {
  const http = tc.check_request?.attributes?.request?.http ?? {};
  const headers = new Map<string, string[]>();
  for (const [name, value] of Object.entries(http.headers ?? {})) headers.set(name.toLowerCase(), [value]);
  const fields: readonly { key: string; value?: string; rawValue?: string; raw_value?: string }[] =
    http.headerMap?.headers ?? http.header_map?.headers ?? [];
  for (const { key, value, rawValue, raw_value } of fields) {
    const raw = rawValue ?? raw_value;
    const text = raw === undefined ? (value ?? "") : Buffer.from(raw, "base64").toString("latin1");
    headers.set(key.toLowerCase(), [...(headers.get(key.toLowerCase()) ?? []), text]);
  }
  return { method: http.method ?? "GET", path: http.path ?? "/", headers: Object.fromEntries(headers) };
}
