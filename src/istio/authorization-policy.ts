import { toCidr } from "./addresses.ts";
import {
  type Attribute,
  type FieldName,
  isIdentity,
  OPERATION_FIELDS,
  parseWhenKey,
  SOURCE_FIELDS,
  WHEN_KEYS,
} from "./attributes.ts";
import { readAttachment } from "./attachment.ts";
import { type FieldReader, isNull, join, nearest, type Text } from "./fields.ts";
import type { YamlEntry, YamlNode } from "./node.ts";
import type { Action, AuthorizationPolicy, FieldValues, Meta, PolicyRule } from "./policies.ts";
import { hasTemplate, templateProblem } from "./templates.ts";

const ACTIONS = ["ALLOW", "DENY", "AUDIT", "CUSTOM"] as const;
const SOURCE_NAMES = [...SOURCE_FIELDS.keys()];
const OPERATION_NAMES = [...OPERATION_FIELDS.keys()];
const MAX_RULES = 512;
const MAX_SOURCES = 512;
const MAX_SERVICE_ACCOUNTS = 16;
const MAX_SERVICE_ACCOUNT_LENGTH = 320;

/** Reads and validates one AuthorizationPolicy: the rules of Istio's webhook and CRD (pkg/config/validation, pkg/config/security). */
export function readAuthorizationPolicy(
  reader: FieldReader,
  meta: Meta,
  spec: YamlNode | undefined,
  annotations: ReadonlyMap<string, Text>,
): AuthorizationPolicy {
  const members = reader.members(spec, "spec", ["selector", "targetRef", "targetRefs", "action", "provider", "rules"]);
  const attachment = readAttachment(reader, members, meta);
  const actionEntry = members.get("action");
  const action: Action = reader.oneOf(actionEntry?.value, "spec.action", ACTIONS) ?? "ALLOW";
  const provider = readProvider(reader, members.get("provider"), action);
  const rules = readRules(reader, members.get("rules"), action);
  const where = members.get("rules") ?? actionEntry ?? meta;
  if (rules.length === 0 && action === "DENY") {
    reader.refuse(
      "istio_value_error",
      where,
      "spec.rules",
      "a DENY policy without rules never denies",
      "to deny everything, write rules: [{}]",
    );
  }
  if (action === "CUSTOM") {
    if (rules.length === 0) reader.refuse("istio_value_error", where, "spec.rules", "a CUSTOM policy needs rules");
    else if (provider === "")
      reader.refuse("istio_value_error", where, "spec.provider.name", "a CUSTOM policy needs a provider");
  }
  return {
    kind: "AuthorizationPolicy",
    name: meta.name,
    namespace: meta.namespace,
    places: meta.places,
    start: meta.start,
    end: meta.end,
    attachment,
    action,
    dryRun: readDryRun(reader, annotations, action),
    provider,
    rules,
  };
}

function readProvider(reader: FieldReader, entry: YamlEntry | undefined, action: Action): string {
  if (entry === undefined) return "";
  const members = reader.members(entry.value, "spec.provider", ["name"]);
  if (action !== "CUSTOM")
    reader.refuse("istio_value_error", entry, "spec.provider", `only CUSTOM policies have a provider, not ${action}`);
  return reader.string(members.get("name")?.value, "spec.provider.name")?.text ?? "";
}

/** Go's strconv.ParseBool. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "TRUE", "true", "True"].map((text) => [text, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((text) => [text, false] as const),
]);

function readDryRun(reader: FieldReader, annotations: ReadonlyMap<string, Text>, action: Action): boolean {
  const text = annotations.get("istio.io/dry-run");
  if (text === undefined) return false;
  const field = 'metadata.annotations["istio.io/dry-run"]';
  const value = BOOLEANS.get(text.text);
  if (value === undefined)
    reader.refuse(
      "istio_value_error",
      text,
      field,
      `${JSON.stringify(text.text)} is not a boolean`,
      'write "true" or "false"',
    );
  if (action === "AUDIT" || action === "CUSTOM")
    reader.refuse("istio_value_error", text, field, `dry-run is not supported for ${action} policies`);
  return value ?? false;
}

function readRules(reader: FieldReader, entry: YamlEntry | undefined, action: Action): readonly PolicyRule[] {
  const items = reader.list(entry?.value, "spec.rules") ?? [];
  if (entry !== undefined && items.length > MAX_RULES) {
    reader.refuse("istio_limit_error", entry, "spec.rules", `has ${items.length} rules; Istio takes ${MAX_RULES}`);
  }
  return items.map((item, index) => readRule(reader, item, index, action));
}

function readRule(reader: FieldReader, node: YamlNode, index: number, action: Action): PolicyRule {
  const field = `spec.rules[${index}]`;
  if (isNull(node))
    reader.refuse("istio_value_error", node, field, "must not be null", "a rule that matches everything is {}");
  const members = reader.members(node, field, ["from", "to", "when"]);
  const from = readAlternatives(reader, members.get("from"), `${field}.from`, "source", SOURCE_FIELDS);
  const to = readAlternatives(reader, members.get("to"), `${field}.to`, "operation", OPERATION_FIELDS);
  const when = (reader.list(members.get("when")?.value, `${field}.when`) ?? []).flatMap((item, i) =>
    readCondition(reader, item, `${field}.when[${i}]`),
  );
  const rule: PolicyRule = { index, from, to, when, start: node.start, end: node.end };
  if (action === "CUSTOM") {
    for (const values of [...from.flat(), ...when]) {
      if (!isIdentity(values.attribute)) continue;
      reader.refuse(
        "istio_value_error",
        values,
        field,
        `CUSTOM policies may not look at ${values.name}: it is not known before the request is authenticated`,
      );
    }
  }
  for (const source of from) checkServiceAccountCompany(reader, source, `${field}.from`);
  return rule;
}

function readAlternatives(
  reader: FieldReader,
  entry: YamlEntry | undefined,
  field: string,
  member: "source" | "operation",
  known: ReadonlyMap<string, FieldName>,
): readonly (readonly FieldValues[])[] {
  const items = reader.list(entry?.value, field);
  if (items === undefined || entry === undefined) return [];
  if (items.length === 0)
    reader.refuse("istio_value_error", entry, field, "must not be empty", "leave it out to match any");
  if (items.length > MAX_SOURCES)
    reader.refuse("istio_limit_error", entry, field, `has ${items.length} entries; Istio takes ${MAX_SOURCES}`);
  return items.map((item, i) => {
    const at = `${field}[${i}]`;
    const holder = reader.members(item, at, [member]).get(member);
    if (holder === undefined) {
      reader.refuse(
        "istio_value_error",
        item,
        at,
        `needs a ${member}`,
        `leave out ${field.endsWith("from") ? "from" : "to"} to match any`,
      );
      return [];
    }
    const lists: FieldValues[] = [];
    for (const [key, entry] of reader.members(
      holder.value,
      `${at}.${member}`,
      member === "source" ? SOURCE_NAMES : OPERATION_NAMES,
    )) {
      const fieldName = known.get(key);
      const values = reader.strings(entry.value, `${at}.${member}.${key}`);
      if (fieldName === undefined || values === undefined || values.length === 0) continue;
      // Member by member: V8 copies objects slowly, and there are tens of thousands.
      const { name, attribute, negated } = fieldName;
      const list: FieldValues = { name, attribute, negated, values, start: entry.start, end: entry.end };
      checkValues(reader, list, `${at}.${member}.${key}`, false);
      lists.push(list);
    }
    if (lists.length === 0)
      reader.refuse(
        "istio_value_error",
        holder,
        `${at}.${member}`,
        "has no values",
        `leave out the ${member} to match any`,
      );
    return lists;
  });
}

function readCondition(reader: FieldReader, node: YamlNode, field: string): readonly FieldValues[] {
  const members = reader.members(node, field, ["key", "values", "notValues"]);
  const keyEntry = members.get("key");
  const key = reader.string(keyEntry?.value, `${field}.key`);
  if (keyEntry === undefined || key === undefined || key.text === "") {
    reader.refuse("istio_value_error", keyEntry ?? node, `${field}.key`, "is required");
    return [];
  }
  const attribute = parseWhenKey(key.text);
  if (attribute === undefined) {
    const near = nearest(key.text.replace(/\[.*$/, ""), [...WHEN_KEYS.map((known) => known.replace(/\[.*$/, ""))]);
    reader.refuse(
      "istio_value_error",
      key,
      `${field}.key`,
      `unknown key ${JSON.stringify(key.text)}`,
      near === undefined ? `known keys: ${WHEN_KEYS.join(", ")}` : `did you mean ${near}?`,
    );
    return [];
  }
  const lists: FieldValues[] = [];
  for (const name of ["values", "notValues"] as const) {
    const entry = members.get(name);
    const values = reader.strings(entry?.value, `${field}.${name}`);
    if (entry === undefined || values === undefined || values.length === 0) continue;
    const list: FieldValues = {
      name: key.text,
      attribute,
      negated: name === "notValues",
      values,
      start: entry.start,
      end: entry.end,
    };
    checkValues(reader, list, `${field}.${name}`, true);
    lists.push(list);
  }
  if (lists.length === 0)
    reader.refuse(
      "istio_value_error",
      node,
      field,
      "needs values or notValues",
      'to test that it is present, write values: ["*"]',
    );
  return lists;
}

/** Values that the compiler of Istio would drop, or that its webhook refuses. */
function checkValues(reader: FieldReader, list: FieldValues, field: string, isCondition: boolean): void {
  list.values.forEach((value, i) => {
    const problem = valueProblem(list.attribute, value.text, isCondition);
    if (problem !== undefined) reader.refuse("istio_value_error", value, `${field}[${i}]`, problem);
  });
  if (list.attribute.kind === "serviceAccount" && list.values.length > MAX_SERVICE_ACCOUNTS) {
    reader.refuse(
      "istio_value_error",
      list,
      field,
      `has ${list.values.length} values; Istio takes ${MAX_SERVICE_ACCOUNTS}`,
    );
  }
}

function valueProblem(attribute: Attribute, value: string, isCondition: boolean): string | undefined {
  const shown = JSON.stringify(value);
  switch (attribute.kind) {
    case "sourceIp":
    case "remoteIp":
    case "destinationIp":
      return toCidr(value) === undefined ? `${shown} is no IP address or CIDR block` : undefined;
    case "port":
      return /^[0-9]{1,5}$/.test(value) && Number(value) <= 65535
        ? undefined
        : `${shown} is no port: an integer from 0 to 65535`;
    case "serviceAccount": {
      const parts = value.split("/");
      if (value.length > MAX_SERVICE_ACCOUNT_LENGTH) return `is longer than ${MAX_SERVICE_ACCOUNT_LENGTH} characters`;
      if (value.includes("*")) return `${shown}: wildcards are not supported here`;
      if (parts.length > 2 || parts.includes("")) return `${shown} is neither <name> nor <namespace>/<name>`;
      return undefined;
    }
    case "trustDomain": {
      const stars = value.split("*").length - 1;
      if (stars > 1 || (stars === 1 && !value.startsWith("*") && !value.endsWith("*")))
        return `${shown}: one * is allowed, at the start or the end`;
      if (!isCondition && value.includes("/")) return `${shown}: a trust domain has no slash`;
      return undefined;
    }
    case "path":
      return hasTemplate(value) || /[{}]/.test(value) ? templateProblem(value) : undefined;
    default:
      return undefined;
  }
}

function checkServiceAccountCompany(reader: FieldReader, source: readonly FieldValues[], field: string): void {
  const accounts = source.find(({ attribute }) => attribute.kind === "serviceAccount");
  if (accounts === undefined) return;
  if (source.some(({ attribute: { kind } }) => kind === "principal" || kind === "namespace")) {
    reader.refuse(
      "istio_value_error",
      accounts,
      join(field, "source"),
      "serviceAccounts may not stand beside principals or namespaces in one source",
      "write a second entry of from",
    );
  }
}
