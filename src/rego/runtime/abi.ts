import type { Location } from "../../base/index.ts";
import {
  canonicalText,
  compareValues,
  isArray,
  isNumber,
  isObject,
  isSet,
  lookup,
  numberText,
  RegoObject,
  RegoSet,
  sizeOf,
  sortedKeys,
  type TypeName,
  type Value,
  valuesEqual,
} from "../value/index.ts";
import { baseAt, cursorAt, cursorKeys, cursorStep, cursorValue, documentAt, isHidden } from "./document.ts";
import { BuiltinError, EvalError, operandTypeError } from "./errors.ts";
import { type Evaluation, NONE } from "./evaluation.ts";
import { PartialObject } from "./partial.ts";
import { candidates } from "./rule-index.ts";
import { withReplacements } from "./with.ts";

/** Everything generated code may call, besides rules and builtins. Nothing else is in its scope. */
export const abi = {
  NONE,
  RegoSet,
  RegoObject,
  PartialObject,
  eq: valuesEqual,
  compare: compareValues,
  get: lookup,
  stored,
  member,
  keysOf,
  anyKeysOf,
  at: memberAt,
  isArrayOf,
  isObjectOf,
  isNumber,
  isObject,
  isSmall,
  putUnique,
  conflict,
  unbound,
  failed,
  operand,
  callMock,
  record,
  replace: withReplacements,
  isHidden,
  baseAt,
  cursorAt,
  cursorKeys,
  cursorStep,
  cursorValue,
  documentAt,
  keyedMemo,
  candidates,
  pathOf,
  keyOf: canonicalText,
};
export type Abi = typeof abi;

/** `value[key]` for a key known to be a string. */
function member(value: Value, key: string): Value | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  if (value instanceof RegoObject) return value.get(key);
  if (value instanceof RegoSet) return value.get(key);
  return Object.hasOwn(value, key) ? (value as { readonly [key: string]: Value })[key] : undefined;
}

/**
 * `value[key]` in a base document. OPA's store knows paths of strings only, so `data.x[2]` also finds the key "2"
 * (v1/storage/path.go, NewPathForRef).
 */
function stored(value: Value, key: Value): Value | undefined {
  const found = lookup(value, key);
  return found === undefined && isNumber(key) && isObject(value) ? member(value, numberText(key)) : found;
}

/** The document at a path of strings, for rule indexes; undefined where it does not lead anywhere. */
function pathOf(value: Value | undefined, path: readonly string[]): Value | undefined {
  let found = value;
  for (let i = 0; i < path.length && found !== undefined; i++) found = member(found, path[i] as string);
  return found;
}

/** Keys to iterate over: null for an array (its indices), undefined for what has no members. */
function keysOf(value: Value): readonly Value[] | null | undefined {
  if (isArray(value)) return null;
  if (isSet(value)) return value.sorted();
  if (typeof value === "object" && isObject(value)) return sortedKeys(value);
  return undefined;
}

/** `keysOf` where nobody can see the order. */
function anyKeysOf(value: Value): readonly Value[] | null | undefined {
  if (isArray(value)) return null;
  if (value instanceof RegoSet) return value.members();
  if (value instanceof RegoObject) return [...value.keys()];
  return typeof value === "object" && isObject(value) ? Object.keys(value) : undefined;
}

/** The member at a key that `keysOf` gave. */
function memberAt(value: Value, key: Value): Value {
  return value instanceof RegoSet ? key : (lookup(value, key) as Value);
}

function isArrayOf(value: Value, length: number): boolean {
  return isArray(value) && value.length === length;
}

function isObjectOf(value: Value, size: number): boolean {
  return isObject(value) && sizeOf(value) === size;
}

/** An integer whose sum with another such is exact. */
function isSmall(value: Value): boolean {
  return typeof value === "number" && Number.isInteger(value) && value < 0x8000000000000 && value > -0x8000000000000;
}

/** Adds an entry to a partial object or object comprehension. @throws {EvalError} eval_conflict_error */
function putUnique(object: RegoObject, key: Value, value: Value, at: Location): void {
  const existing = object.get(key);
  if (existing === undefined) object.set(key, value);
  else if (!valuesEqual(existing, value)) throw new EvalError("eval_conflict_error", "object keys must be unique", at);
}

const CONFLICTS = {
  complete: "complete rules must not produce multiple outputs",
  function: "functions must not produce multiple outputs for same inputs",
  object: "object keys must be unique",
} as const;

/** What the compiler let through though it cannot be evaluated, met at run time. */
function unbound(message: string, at: Location): EvalError {
  return new EvalError("eval_internal_error", message, at);
}

function conflict(kind: keyof typeof CONFLICTS, at: Location): EvalError {
  return new EvalError("eval_conflict_error", CONFLICTS[kind], at);
}

/** What has been computed of a partial document key by key, in this frame. */
function keyedMemo(evaluation: Evaluation, group: number): Map<string, unknown> {
  let memo = evaluation.keyed.get(group);
  if (memo === undefined) {
    memo = new Map();
    evaluation.keyed.set(group, memo);
  }
  return memo;
}

/** How many builtin errors one evaluation keeps to show. */
const MAX_BUILTIN_ERRORS = 10;

/** A builtin threw: its call is undefined, unless errors are strict or it was no refusal. */
function failed(evaluation: Evaluation, error: unknown, name: string, at: Location): undefined {
  if (!(error instanceof BuiltinError)) {
    if (error instanceof EvalError && error.location === undefined)
      throw new EvalError(error.code, error.message, at, { cause: error });
    throw error;
  }
  const evalError = new EvalError(error.code, `${name}: ${error.message}`, at, { cause: error });
  const { session } = evaluation;
  if (session.options.strictBuiltinErrors === true) throw evalError;
  session.builtinErrors ??= [];
  if (session.builtinErrors.length < MAX_BUILTIN_ERRORS) session.builtinErrors.push(evalError);
  return undefined;
}

/** An operand has the wrong type: the call is undefined, unless errors are strict. */
function operand(
  evaluation: Evaluation,
  position: number,
  accepts: readonly TypeName[],
  got: Value,
  name: string,
  at: Location,
): undefined {
  return failed(evaluation, operandTypeError(position, accepts, got), name, at);
}

/** Calls what a `with` put in a function's place. Only called where `evaluation.mocks` has the name. */
function callMock(evaluation: Evaluation, name: string, ...args: readonly Value[]): Value | undefined {
  const mock = evaluation.mocks?.get(name);
  if (mock === undefined) throw new TypeError(`no mock for ${name}`);
  return mock.kind === "value" ? mock.value : mock.call(evaluation.unmocked(), ...args);
}

/** Keeps the result of a nondeterministic builtin for the decision log. */
function record(evaluation: Evaluation, name: string, args: readonly Value[], value: Value | undefined): void {
  const log = evaluation.session.options.nondeterministic;
  if (log === undefined || value === undefined) return;
  const calls = log.get(name);
  if (calls === undefined) log.set(name, [[args, value]]);
  else if (
    !calls.some(
      ([other]) => other.length === args.length && other.every((arg, i) => valuesEqual(arg, args[i] as Value)),
    )
  )
    calls.push([args, value]);
}
