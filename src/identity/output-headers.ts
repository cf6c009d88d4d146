import { type Claims, splitToken } from "../jwt/index.ts";
import type { TokenRule } from "./rule.ts";
import { tokenHeadersOf, tokenParametersIn, type TokenRequest } from "./token-location.ts";

/** What happens to request headers on their way to the upstream. Names in lower case. */
export interface HeaderChanges {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
  /** Parameters of the query that go as well. */
  readonly removeParameters?: readonly string[];
}

/** Header values that cannot end a header: visible characters and blanks. */
const SAFE_VALUE = /^[^\x00-\x08\x0a-\x1f\x7f]*$/;

/**
 * Headers for the upstream. Every header that any of the rules could set is removed unless it is set here, whether or
 * not a token came: the upstream may trust them, so the client must not choose them.
 */
export function outputHeaders(
  rules: readonly TokenRule[],
  accepted?: {
    readonly rule: TokenRule;
    readonly claims: Claims;
    /** Undefined for tokens without parts. */
    readonly token: string | undefined;
    /** The header that carried the token. */
    readonly header: string | undefined;
  },
): HeaderChanges {
  const set: Record<string, string> = {};
  if (accepted !== undefined) {
    const { rule, claims, token } = accepted;
    if (rule.outputPayloadToHeader !== "" && token !== undefined)
      set[rule.outputPayloadToHeader.toLowerCase()] = splitToken(token).payload;
    for (const { header, claim } of rule.outputClaimToHeaders) {
      const text = claimText(claimAt(claims, claim));
      if (text !== "" && SAFE_VALUE.test(text)) set[header.toLowerCase()] = text;
    }
  }
  const remove: string[] = [];
  const add = (name: string): void => {
    if (!Object.hasOwn(set, name) && !remove.includes(name)) remove.push(name);
  };
  for (const { outputPayloadToHeader, outputClaimToHeaders } of rules) {
    if (outputPayloadToHeader !== "") add(outputPayloadToHeader.toLowerCase());
    for (const { header } of outputClaimToHeaders) add(header.toLowerCase());
  }
  if (accepted?.header !== undefined && !accepted.rule.forwardOriginalToken) add(accepted.header);
  return { set, remove };
}

/** The same without a token, of which none may go on: whichever header or parameter one may have come in is removed. */
export function withoutTokens(rules: readonly TokenRule[], request: TokenRequest): HeaderChanges {
  const { set, remove } = outputHeaders(rules);
  const carriers = rules.flatMap((rule) => tokenHeadersOf(rule).map(({ name }) => name.toLowerCase()));
  const removeParameters = [...new Set(rules.flatMap((rule) => tokenParametersIn(rule, request)))];
  return { set, remove: [...new Set([...remove, ...carriers])], removeParameters };
}

function claimAt(claims: Claims, path: string): unknown {
  let node: unknown = claims;
  for (const name of path.split(".")) {
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, name)) return undefined;
    node = (node as Record<string, unknown>)[name];
  }
  return node;
}

/** As Envoy's jwt_authn writes claims: strings verbatim, whole numbers whole, lists and objects as base64 of JSON. */
function claimText(claim: unknown): string {
  switch (typeof claim) {
    case "string":
      return claim;
    case "boolean":
      return String(claim);
    case "bigint":
      return claim.toString();
    case "number":
      return Number.isInteger(claim) && claim >= 0 ? String(claim) : claim.toFixed(6);
    case "object":
      return claim === null ? "" : Buffer.from(jsonText(claim)).toString("base64");
    default:
      return "";
  }
}

function jsonText(value: object): string {
  return JSON.stringify(value, (_name, member: unknown) => (typeof member === "bigint" ? Number(member) : member));
}
