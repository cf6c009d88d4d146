import { EvalError } from "../runtime/index.ts";
import {
  getKey,
  isArray,
  isObject,
  isSet,
  lookup,
  sortedKeys,
  toJsonText,
  toRegoText,
  typeName,
  type Value,
  valuesEqual,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, types } from "./define.ts";

/** How a note begins that names the test case a table-driven test has reached; its JSON follows. */
export const TEST_CASE_NOTE = "test case: ";

/** What the compiler rewrites `in`, `print` and template strings to. Their operands have no names in OPA's messages. */
export const internalBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "internal.member_2",
    category: "internal",
    about: "Whether a value is in a collection: `x in xs`.",
    infix: "in",
    args: [
      arg("", operands.any, "the value"),
      arg("", operands.any, "the collection; of other values nothing is a member"),
    ],
    result: { type: types.boolean },
    call: (_context, member, collection) => isMember(member, collection),
  }),
  defineBuiltin({
    name: "internal.member_3",
    category: "internal",
    about: "Whether a collection holds a value at a key: `k, v in xs`.",
    infix: "in",
    args: [
      arg("", operands.any, "the key, index, or set member"),
      arg("", operands.any, "the value"),
      arg("", operands.any, "the collection"),
    ],
    result: { type: types.boolean },
    call: (_context, key, value, collection) => {
      const found = lookup(collection, key);
      return found !== undefined && valuesEqual(found, value);
    },
  }),
  defineBuiltin({
    name: "internal.print",
    category: "internal",
    about:
      "Prints one line for every combination of the values its operands have; an operand without values prints as `<undefined>`.",
    args: [
      arg("", operands.of<readonly Value[]>(types.array(types.set()), "array"), "one set of values for each operand"),
    ],
    call: (context, parts) => {
      for (const line of combinations(parts)) context.print(line.join(" "));
      return true;
    },
  }),
  defineBuiltin({
    name: "internal.template_string",
    category: "internal",
    about: "Joins the parts of a template string; an undefined part prints as `<undefined>`.",
    args: [arg("", operands.array, "texts, and sets with the value of each expression")],
    result: { type: types.string },
    call: (context, parts) => {
      let text: string | undefined;
      for (const line of combinations(parts)) {
        if (text !== undefined)
          throw new EvalError("eval_conflict_error", "template-strings must not produce multiple outputs");
        text = line.join("");
        context.spend(text.length >> 6);
      }
      return text;
    },
  }),
  defineBuiltin({
    name: "internal.test_case",
    category: "internal",
    about: "Marks the test case that a table-driven test has reached.",
    args: [arg("", operands.array, "names of the case, outermost first")],
    call: (context, names) => {
      context.note(TEST_CASE_NOTE + toJsonText(names));
      return true;
    },
  }),
];

function isMember(member: Value, collection: Value): boolean {
  if (isSet(collection)) return collection.has(member);
  if (isArray(collection)) return collection.some((item) => valuesEqual(item, member));
  if (isObject(collection))
    return sortedKeys(collection).some((key) => valuesEqual(getKey(collection, key) as Value, member));
  return false;
}

/** Scalars print as they are; sets stand for each of their members (OPA topdown/print.go). */
function* combinations(parts: readonly Value[], done: readonly string[] = []): Generator<readonly string[]> {
  if (done.length === parts.length) {
    yield done;
    return;
  }
  const part = parts[done.length] as Value;
  if (isSet(part)) {
    if (part.size === 0) yield* combinations(parts, [...done, "<undefined>"]);
    for (const member of part.sorted()) yield* combinations(parts, [...done, displayText(member)]);
  } else if (isArray(part) || isObject(part)) {
    throw new EvalError("eval_internal_error", `illegal argument type: ${typeName(part)}`);
  } else yield* combinations(parts, [...done, displayText(part)]);
}

function displayText(value: Value): string {
  return typeof value === "string" ? value : toRegoText(value);
}
