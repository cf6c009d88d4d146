import { type Builtin, operands, signatureOf } from "../builtins/index.ts";
import { EvalError } from "../runtime/index.ts";
import { describeType, type FunctionType, readFunctionType, writeType } from "../types/index.ts";
import { compareStrings, getKey, isArray, isObject, type JsonObject, type Value } from "../value/index.ts";

/** What policies may use: OPA's capabilities file, read. */
export interface Capabilities {
  /** Types of the builtins there are, by name. */
  readonly builtins: ReadonlyMap<string, FunctionType>;
  readonly futureKeywords: readonly string[];
  readonly features: readonly string[];
}

/** A capabilities file was malformed. */
export class CapabilitiesError extends Error {
  override readonly name = "CapabilitiesError";
}

/** Reads a capabilities document. @throws {CapabilitiesError | TypeFormatError} */
export function readCapabilities(json: Value): Capabilities {
  if (!isObject(json)) throw new CapabilitiesError("capabilities must be an object");
  const builtins = new Map<string, FunctionType>();
  for (const item of listOf(json, "builtins")) {
    const name = isObject(item) ? getKey(item, "name") : undefined;
    if (!isObject(item) || typeof name !== "string") throw new CapabilitiesError("every builtin must have a name");
    builtins.set(name, readFunctionType(getKey(item, "decl") ?? null));
  }
  return { builtins, futureKeywords: namesOf(json, "future_keywords"), features: namesOf(json, "features") };
}

function listOf(object: Value, key: string): readonly Value[] {
  const list = isObject(object) ? (getKey(object, key) ?? []) : [];
  if (!isArray(list)) throw new CapabilitiesError(`${key} must be an array`);
  return list;
}

function namesOf(object: Value, key: string): readonly string[] {
  const list = listOf(object, key);
  if (!list.every((name) => typeof name === "string")) throw new CapabilitiesError(`${key} must be strings`);
  return list;
}

/**
 * The builtins that capabilities allow. One that they declare and nobody has implemented may be named in policies, so that
 * they can be checked, and fails when it is called.
 */
export function allowedBuiltins(
  builtins: readonly Builtin[],
  capabilities: Capabilities | undefined,
): readonly Builtin[] {
  if (capabilities === undefined) return builtins;
  const allowed = builtins.filter(({ name }) => capabilities.builtins.has(name));
  const known = new Set(builtins.map(({ name }) => name));
  const missing = [...capabilities.builtins].filter(([name]) => !known.has(name));
  return [...allowed, ...missing.map(([name, type]) => declaredOnly(name, type))];
}

function declaredOnly(name: string, type: FunctionType): Builtin {
  return {
    name,
    category: "custom",
    about: "Declared by a capabilities file.",
    args: type.args.map((arg) => ({
      name: arg.name ?? "",
      operand: operands.of(arg.type ?? { kind: "any", of: [] }),
      about: "",
    })),
    result: type.result,
    ...(type.variadic !== undefined && { variadic: type.variadic }),
    call: () => {
      throw new EvalError("eval_internal_error", `unsupported built-in: ${name}`);
    },
  };
}

/** Future keywords and features by language version, as `opa capabilities` lists them. */
const LANGUAGE = {
  v1: { future_keywords: ["and", "not", "or"], features: ["keywords_in_refs", "rego_v1", "template_strings"] },
  v0: {
    future_keywords: ["and", "contains", "every", "if", "in", "not", "or"],
    features: ["keywords_in_refs", "rego_v1", "rego_v1_import", "rule_head_ref_string_prefixes", "rule_head_refs"],
  },
} as const;

/**
 * The capabilities document of a set of builtins, members in the order OPA writes them.
 *
 * @param described with descriptions, categories, and the names of operands, as `opa capabilities --current` prints them.
 */
export function capabilitiesOf(
  builtins: readonly Builtin[],
  version: "v0" | "v1" = "v1",
  described: "described" | "bare" = "bare",
): JsonObject {
  const sorted = [...builtins].sort((a, b) => compareStrings(a.name, b.name));
  return {
    builtins: sorted.map((builtin) => (described === "described" ? describedEntry(builtin) : entryOf(builtin))),
    future_keywords: LANGUAGE[version].future_keywords,
    features: LANGUAGE[version].features,
  };
}

function entryOf(builtin: Builtin): JsonObject {
  const { name, type, infix, relation, deprecated, nondeterministic } = signatureOf(builtin);
  return {
    name,
    decl: writeType(type),
    ...(infix !== undefined && { infix }),
    ...(relation === true && { relation }),
    ...(nondeterministic === true && { nondeterministic }),
    ...(deprecated === true && { deprecated }),
  };
}

function describedEntry(builtin: Builtin): JsonObject {
  const { name: _name, decl: _decl, ...flags } = entryOf(builtin);
  const { args, result, variadic } = signatureOf(builtin).type;
  return {
    name: builtin.name,
    description: builtin.about,
    categories: [builtin.category],
    decl: {
      ...(args.length > 0 && { args: args.map(describeType) }),
      ...(result !== undefined && { result: describeType(result) }),
      type: "function",
      ...(variadic !== undefined && { variadic: describeType({ type: variadic }) }),
    },
    ...flags,
  };
}
