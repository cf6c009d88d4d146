/** What a condition looks at. */
export type Attribute =
  | { readonly kind: SimpleAttribute }
  | { readonly kind: "header"; readonly name: string }
  /** Claim of the verified token, member by member. */
  | { readonly kind: "claim"; readonly path: readonly string[] }
  /** Dynamic metadata of another Envoy filter: one flat key. */
  | { readonly kind: "metadata"; readonly namespace: string; readonly key: string };

export type SimpleAttribute =
  | "principal"
  | "namespace"
  | "serviceAccount"
  | "trustDomain"
  | "requestPrincipal"
  | "sourceIp"
  | "remoteIp"
  | "destinationIp"
  | "port"
  | "sni"
  | "host"
  | "method"
  | "path"
  | "schedule"
  | "rateLimit";

/** A list of a source or operation: `paths` and its twin `notPaths`. */
export interface FieldName {
  /** Without `not`. */
  readonly name: string;
  readonly attribute: Attribute;
  readonly negated: boolean;
}

/** Both twins of each field, by their names in the file. */
function withTwins(fields: readonly (readonly [string, SimpleAttribute])[]): ReadonlyMap<string, FieldName> {
  const names = new Map<string, FieldName>();
  for (const [name, kind] of fields) {
    const attribute: Attribute = { kind };
    names.set(name, { name, attribute, negated: false });
    names.set(`not${name.charAt(0).toUpperCase()}${name.slice(1)}`, { name, attribute, negated: true });
  }
  return names;
}

export const SOURCE_FIELDS = withTwins([
  ["principals", "principal"],
  ["requestPrincipals", "requestPrincipal"],
  ["namespaces", "namespace"],
  ["ipBlocks", "sourceIp"],
  ["remoteIpBlocks", "remoteIp"],
  ["serviceAccounts", "serviceAccount"],
  ["trustDomains", "trustDomain"],
]);

export const OPERATION_FIELDS = withTwins([
  ["hosts", "host"],
  ["ports", "port"],
  ["methods", "method"],
  ["paths", "path"],
]);

const SIMPLE_KEYS: ReadonlyMap<string, Attribute> = new Map<string, Attribute>([
  ["source.ip", { kind: "sourceIp" }],
  ["remote.ip", { kind: "remoteIp" }],
  ["source.namespace", { kind: "namespace" }],
  ["source.serviceAccount", { kind: "serviceAccount" }],
  ["source.principal", { kind: "principal" }],
  ["source.trustDomain", { kind: "trustDomain" }],
  ["request.auth.principal", { kind: "requestPrincipal" }],
  ["request.auth.audiences", { kind: "claim", path: ["aud"] }],
  ["request.auth.presenter", { kind: "claim", path: ["azp"] }],
  ["destination.ip", { kind: "destinationIp" }],
  ["destination.port", { kind: "port" }],
  ["connection.sni", { kind: "sni" }],
  ["cardea.schedule", { kind: "schedule" }],
  ["cardea.rateLimit", { kind: "rateLimit" }],
]);

/** Every `when` key there is, for messages. */
export const WHEN_KEYS: readonly string[] = [
  ...SIMPLE_KEYS.keys(),
  "request.headers[name]",
  "request.auth.claims[name]",
  "experimental.envoy.filters.filter[key]",
];

/**
 * The attribute a `when` key names; undefined where Istio's validation knows no such key.
 * Quotes inside brackets are part of the name, as they are for Istio.
 */
export function parseWhenKey(key: string): Attribute | undefined {
  const simple = SIMPLE_KEYS.get(key);
  if (simple !== undefined) return simple;
  const open = key.indexOf("[");
  if (open === -1 || !key.endsWith("]") || key.length - open < 3) return undefined;
  const base = key.slice(0, open);
  const inside = key.slice(open + 1, -1);
  if (base === "request.headers") return { kind: "header", name: lowerAscii(inside) };
  if (base === "request.auth.claims") return { kind: "claim", path: claimPath(key.slice(open)) };
  const metadata = "experimental.envoy.filters.";
  if (base.startsWith(metadata) && base.length > metadata.length) {
    return { kind: "metadata", namespace: base.slice("experimental.".length), key: inside };
  }
  return undefined;
}

/**
 * `[a][b]` is the path a, b. A malformed sequence of brackets is one literal claim name: `[[good]]` names `[good]`.
 * @source istio pilot/pkg/security/authz/matcher + model/util.go
 */
function claimPath(brackets: string): readonly string[] {
  const path = [...brackets.matchAll(/\[([^[\]]+)\]/g)].map((match) => match[1] as string);
  return path.map((name) => `[${name}]`).join("") === brackets ? path : [brackets.slice(1, -1)];
}

/** Is the attribute known only where HTTP is spoken? */
export function isHttpOnly(attribute: Attribute): boolean {
  switch (attribute.kind) {
    case "header":
    case "claim":
    case "requestPrincipal":
    case "host":
    case "method":
    case "path":
      return true;
    default:
      return false;
  }
}

/** The peer's or the token's identity: what CUSTOM policies may not look at. */
export function isIdentity({ kind }: Attribute): boolean {
  return (
    kind === "principal" ||
    kind === "namespace" ||
    kind === "serviceAccount" ||
    kind === "trustDomain" ||
    kind === "requestPrincipal" ||
    kind === "claim"
  );
}

/** Lower case for ASCII letters only: Unicode folding would make other letters equal to them (U+212A to k). */
export function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
