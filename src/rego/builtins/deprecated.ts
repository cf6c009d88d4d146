import { isArray, RegoSet, type TypeName, type Value } from "../value/index.ts";
import { type Builtin, defineBuiltin, type Operand, operands, types } from "./define.ts";
import { type Collection, membersOf, shared } from "./operands.ts";
import { difference } from "./sets.ts";

/** OPA names neither operands nor results of what it has deprecated. */
function unnamed<T extends Value>(operand: Operand<T>, about: string) {
  return { name: "", operand, about } as const;
}

function cast(name: string, type: TypeName, declared: Operand["type"]): Builtin {
  return defineBuiltin({
    name,
    category: "conversions",
    about: `Lets a value of type ${type} through and refuses any other.`,
    deprecated: true,
    args: [unnamed(operands.of<Value>(types.any, type), "the value")],
    result: { type: declared },
    call: (_context, value) => value,
  });
}

const toCollection = operands.of<Collection>(types.any, "array", "set");

export const deprecatedBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "set_diff",
    category: "sets",
    about: "The members of one set that are not in another; `x - y` says the same.",
    deprecated: true,
    args: [unnamed(operands.set, "the set to take away from"), unnamed(operands.set, "what to take away")],
    result: { type: types.set() },
    call: (_context, x, y) => difference(x, y),
  }),
  defineBuiltin({
    name: "cast_array",
    category: "conversions",
    about: "Turns a set into an array in Rego's order; arrays stay.",
    deprecated: true,
    args: [unnamed(toCollection, "the array or set")],
    result: { type: types.array() },
    call: (_context, collection) => membersOf(collection),
  }),
  defineBuiltin({
    name: "cast_set",
    category: "conversions",
    about: "Turns an array into a set; sets stay.",
    deprecated: true,
    args: [unnamed(toCollection, "the array or set")],
    result: { type: types.set() },
    call: (_context, collection) => (isArray(collection) ? RegoSet.of(collection) : collection),
  }),
  cast("cast_string", "string", types.string),
  cast("cast_boolean", "boolean", types.boolean),
  cast("cast_null", "null", types.null),
  cast("cast_object", "object", types.object()),
  defineBuiltin({
    name: "all",
    category: "aggregates",
    about: "Whether every member is true; of no members, every one is.",
    deprecated: true,
    args: [unnamed(shared.collectionArrayFirst, "the members")],
    result: { type: types.boolean },
    call: (_context, collection) => membersOf(collection).every((member) => member === true),
  }),
  defineBuiltin({
    name: "any",
    category: "aggregates",
    about: "Whether some member is true.",
    deprecated: true,
    args: [unnamed(shared.collectionArrayFirst, "the members")],
    result: { type: types.boolean },
    call: (_context, collection) =>
      isArray(collection) ? collection.includes(true) : (collection as RegoSet).has(true),
  }),
];
