import { readAttachment } from "./attachment.ts";
import { parseDuration } from "./duration.ts";
import type { FieldReader, Text } from "./fields.ts";
import { isNull } from "./fields.ts";
import type { YamlNode } from "./node.ts";
import type { JwtHeader, JwtRule, Meta, RequestAuthentication } from "./policies.ts";

const RULE_FIELDS = [
  "issuer",
  "audiences",
  "jwksUri",
  "jwks_uri",
  "jwks",
  "timeout",
  "fromHeaders",
  "fromParams",
  "fromCookies",
  "forwardOriginalToken",
  "outputPayloadToHeader",
  "outputClaimToHeaders",
  "spaceDelimitedClaims",
];
const MAX_RULES = 4096;
const MAX_JWKS_URI = 2048;
const MAX_SPACE_DELIMITED = 64;
const DEFAULT_TIMEOUT_MS = 5000;

/** Reads and validates one RequestAuthentication. @source istio pkg/config/validation/validation.go ValidateRequestAuthentication */
export function readRequestAuthentication(
  reader: FieldReader,
  meta: Meta,
  spec: YamlNode | undefined,
  annotations: ReadonlyMap<string, Text>,
): RequestAuthentication {
  const members = reader.members(spec, "spec", ["selector", "targetRef", "targetRefs", "jwtRules"]);
  const attachment = readAttachment(reader, members, meta);
  const dryRun = annotations.get("istio.io/dry-run");
  if (dryRun !== undefined) {
    reader.refuse(
      "istio_value_error",
      dryRun,
      'metadata.annotations["istio.io/dry-run"]',
      "dry-run is not supported for RequestAuthentication",
    );
  }
  const entry = members.get("jwtRules");
  const items = reader.list(entry?.value, "spec.jwtRules") ?? [];
  if (entry !== undefined && items.length > MAX_RULES) {
    reader.refuse("istio_limit_error", entry, "spec.jwtRules", `has ${items.length} rules; Istio takes ${MAX_RULES}`);
  }
  const jwtRules = items.flatMap((item, i) => readJwtRule(reader, item, `spec.jwtRules[${i}]`));
  return { ...meta, kind: "RequestAuthentication", attachment, jwtRules };
}

function readJwtRule(reader: FieldReader, node: YamlNode, field: string): readonly JwtRule[] {
  if (isNull(node)) {
    reader.refuse("istio_value_error", node, field, "must not be null");
    return [];
  }
  const members = reader.members(node, field, RULE_FIELDS);
  const text = (name: string) => reader.string(members.get(name)?.value, `${field}.${name}`);
  const texts = (name: string) =>
    (reader.strings(members.get(name)?.value, `${field}.${name}`) ?? []).map((value) => value.text);

  const issuer = text("issuer");
  const jwksUri = text("jwksUri") ?? text("jwks_uri");
  const jwks = text("jwks");
  if (members.has("issuer") && issuer?.text === "")
    reader.refuse("istio_value_error", issuer, `${field}.issuer`, "must not be empty");
  if ((issuer?.text ?? "") === "" && (jwksUri?.text ?? "") === "") {
    reader.refuse("istio_value_error", node, field, "needs an issuer or a jwksUri");
  }
  if (jwks !== undefined && jwksUri !== undefined)
    reader.refuse("istio_value_error", jwks, `${field}.jwks`, "only one of jwks and jwksUri may be given");
  if (jwksUri !== undefined) checkJwksUri(reader, jwksUri, `${field}.jwksUri`);
  if (jwks !== undefined) checkJwks(reader, jwks, `${field}.jwks`);

  const spaceDelimitedClaims = texts("spaceDelimitedClaims");
  if (spaceDelimitedClaims.length > MAX_SPACE_DELIMITED) {
    reader.refuse(
      "istio_limit_error",
      node,
      `${field}.spaceDelimitedClaims`,
      `has ${spaceDelimitedClaims.length} names; Istio takes ${MAX_SPACE_DELIMITED}`,
    );
  }
  return [
    {
      issuer: issuer?.text ?? "",
      audiences: texts("audiences"),
      jwksUri: jwksUri?.text ?? "",
      jwks: jwks?.text ?? "",
      timeoutMs: readTimeout(reader, text("timeout"), `${field}.timeout`),
      fromHeaders: readHeaders(reader, members.get("fromHeaders")?.value, `${field}.fromHeaders`),
      fromParams: texts("fromParams"),
      fromCookies: texts("fromCookies"),
      forwardOriginalToken:
        reader.boolean(members.get("forwardOriginalToken")?.value, `${field}.forwardOriginalToken`) ?? false,
      outputPayloadToHeader: text("outputPayloadToHeader")?.text ?? "",
      outputClaimToHeaders: readClaimHeaders(
        reader,
        members.get("outputClaimToHeaders")?.value,
        `${field}.outputClaimToHeaders`,
      ),
      spaceDelimitedClaims,
    },
  ];
}

function checkJwksUri(reader: FieldReader, uri: Text, field: string): void {
  if (uri.text.length > MAX_JWKS_URI)
    reader.refuse("istio_value_error", uri, field, `is longer than ${MAX_JWKS_URI} characters`);
  let url: URL;
  try {
    url = new URL(uri.text);
  } catch {
    reader.refuse("istio_value_error", uri, field, `${JSON.stringify(uri.text)} is no URL`);
    return;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    reader.refuse(
      "istio_value_error",
      uri,
      field,
      `URI scheme ${JSON.stringify(url.protocol.slice(0, -1))} is not supported`,
      "write https://…",
    );
  }
}

function checkJwks(reader: FieldReader, jwks: Text, field: string): void {
  let parsed: unknown;
  try {
    parsed = JSON.parse(jwks.text);
  } catch {
    reader.refuse("istio_value_error", jwks, field, "is not JSON");
    return;
  }
  const isKeySet =
    typeof parsed === "object" &&
    parsed !== null &&
    (Array.isArray((parsed as { keys?: unknown }).keys) || typeof (parsed as { kty?: unknown }).kty === "string");
  if (!isKeySet) reader.refuse("istio_value_error", jwks, field, "is no JSON Web Key Set", 'write {"keys": [..]}');
}

function readTimeout(reader: FieldReader, text: Text | undefined, field: string): number {
  if (text === undefined) return DEFAULT_TIMEOUT_MS;
  const ms = parseDuration(text.text);
  if (ms === undefined)
    reader.refuse("istio_value_error", text, field, `${JSON.stringify(text.text)} is no duration`, "write 5s or 500ms");
  else if (ms < 1 || !Number.isInteger(ms))
    reader.refuse("istio_value_error", text, field, "must be whole milliseconds, at least one");
  else return ms;
  return DEFAULT_TIMEOUT_MS;
}

function readHeaders(reader: FieldReader, node: YamlNode | undefined, field: string): readonly JwtHeader[] {
  return (reader.list(node, field) ?? []).flatMap((item, i) => {
    const at = `${field}[${i}]`;
    const members = reader.members(item, at, ["name", "prefix"]);
    const name = reader.string(members.get("name")?.value, `${at}.name`)?.text ?? "";
    const prefix = reader.string(members.get("prefix")?.value, `${at}.prefix`)?.text ?? "";
    if (name !== "") return [{ name, prefix }];
    reader.refuse("istio_value_error", item, `${at}.name`, "is required");
    return [];
  });
}

function readClaimHeaders(
  reader: FieldReader,
  node: YamlNode | undefined,
  field: string,
): readonly { header: string; claim: string }[] {
  return (reader.list(node, field) ?? []).flatMap((item, i) => {
    const at = `${field}[${i}]`;
    const members = reader.members(item, at, ["header", "claim"]);
    const header = reader.string(members.get("header")?.value, `${at}.header`)?.text ?? "";
    const claim = reader.string(members.get("claim")?.value, `${at}.claim`)?.text ?? "";
    if (header === "" || claim === "") reader.refuse("istio_value_error", item, at, "needs a header and a claim");
    else if (!/^[-_A-Za-z0-9]+$/.test(header))
      reader.refuse(
        "istio_value_error",
        item,
        `${at}.header`,
        `${JSON.stringify(header)}: only letters, digits, - and _ are allowed`,
      );
    else return [{ header, claim }];
    return [];
  });
}
