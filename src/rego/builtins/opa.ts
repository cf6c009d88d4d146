import { getKey, isArray, isObject, type ObjectValue, setOwn, sortedKeys, type Value } from "../value/index.ts";
import { type Builtin, defineBuiltin, result, types } from "./define.ts";

/** Cleaned documents by the runtime document they were made from: it is the same for every query. */
const cleaned = new WeakMap<object, Value>();

/** The runtime document without secrets: credentials of services, key material (OPA v1/topdown/runtime.go). */
function withoutSecrets(runtime: Value): Value {
  if (!isObject(runtime)) return {};
  const known = cleaned.get(runtime);
  if (known !== undefined) return known;
  const document = mapMembers(runtime, (key, value) =>
    key === "config" && isObject(value) ? cleanConfig(value) : value,
  );
  cleaned.set(runtime, document);
  return document;
}

function cleanConfig(config: ObjectValue): Value {
  return mapMembers(config, (key, value) => {
    if (key === "services") return eachMember(value, (service) => without(service, "credentials"));
    if (key === "keys") return eachMember(value, (entry) => without(entry, "key", "private_key"));
    return value;
  });
}

function eachMember(value: Value, change: (member: Value) => Value): Value {
  if (isArray(value)) return value.map(change);
  return isObject(value) ? mapMembers(value, (_key, member) => change(member)) : value;
}

function without(value: Value, ...secrets: readonly string[]): Value {
  return isObject(value) ? mapMembers(value, (key, member) => (secrets.includes(key) ? undefined : member)) : value;
}

/** A plain copy; members changed to undefined are left out. */
function mapMembers(object: ObjectValue, change: (key: string, value: Value) => Value | undefined): Value {
  const copy: Record<string, Value> = {};
  for (const key of sortedKeys(object)) {
    if (typeof key !== "string") continue;
    const value = change(key, getKey(object, key) as Value);
    if (value !== undefined) setOwn(copy, key, value);
  }
  return copy;
}

export const opaBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "opa.runtime",
    category: "opa",
    about: "Describes the process: its configuration without secrets, environment variables, version and commit.",
    nondeterministic: true,
    args: [],
    result: result(
      "output",
      types.object(types.string, types.any),
      "an object with `config`, `env`, `version` and `commit`, as far as the host tells",
    ),
    call: (context) => withoutSecrets(context.runtime),
  }),
];
