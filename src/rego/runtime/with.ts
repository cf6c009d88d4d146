import { getKey, isObject, RegoObject, type Value } from "../value/index.ts";
import { type DataPath, Evaluation, type Mock } from "./evaluation.ts";

/** One `with` modifier, its value evaluated. */
export type Replacement =
  | { readonly kind: "input" | "data"; readonly path: readonly Value[]; readonly value: Value }
  | { readonly kind: "function"; readonly name: string; readonly mock: Mock };

/** The frame in which an expression with these modifiers is evaluated. Later modifiers build on earlier ones. */
export function withReplacements(evaluation: Evaluation, replacements: readonly Replacement[]): Evaluation {
  let { input, data } = evaluation;
  let hidden: DataPath[] | null = evaluation.hidden === null ? null : [...evaluation.hidden];
  let mocks: Map<string, Mock> | null = evaluation.mocks === null ? null : new Map(evaluation.mocks);
  for (const replacement of replacements) {
    switch (replacement.kind) {
      case "input":
        input = replaceAt(input, replacement.path, 0, replacement.value);
        break;
      case "data":
        data = replaceAt(data, replacement.path, 0, replacement.value);
        hidden ??= [];
        hidden.push(replacement.path);
        break;
      case "function":
        mocks ??= new Map();
        mocks.set(replacement.name, replacement.mock);
        break;
    }
  }
  return new Evaluation(evaluation.session, input, data, hidden, mocks);
}

/** A copy of `target` with `value` at `path`; whatever stands in the way and is no object is replaced by one. */
function replaceAt(target: Value | undefined, path: readonly Value[], from: number, value: Value): Value {
  if (from === path.length) return value;
  const key = path[from] as Value;
  const object = target !== undefined && isObject(target) ? RegoObject.from(target) : new RegoObject();
  object.set(key, replaceAt(getKey(object, key), path, from + 1, value));
  return object;
}
