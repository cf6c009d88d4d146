import { BuiltinError, OperandError } from "../runtime/index.ts";
import { type NumberValue, type RegoSet, toBigInt, toInt64, typeName, type Value } from "../value/index.ts";
import type { Operand } from "./define.ts";
import { operands, types } from "./define.ts";

/** Longest text a builtin will build, in UTF-16 units. OPA has no such limit; the process has. */
export const MAX_TEXT = 1 << 26;
/** Most bits an integer may grow to by one builtin call. */
export const MAX_INTEGER_BITS = 1 << 22;

export type Collection = readonly Value[] | RegoSet;

const arrayOrSet = types.oneOf(types.array(), types.set());
const stringsType = types.oneOf(types.array(types.string), types.set(types.string));

/** Operands that several categories share. The order of run-time types is that of OPA's messages. */
export const shared = {
  collection: operands.of<Collection>(arrayOrSet, "set", "array"),
  collectionArrayFirst: operands.of<Collection>(arrayOrSet, "array", "set"),
  strings: operands.of<Collection>(stringsType, "set", "array"),
  /** Bits take any integral number; their type error is worded by `bigIntOperand`. */
  integer: { type: types.number, accepts: [] } as Operand<Value>,
};

/** Members of an array or set in Rego's order. */
export function membersOf(collection: Collection): readonly Value[] {
  return Array.isArray(collection) ? collection : (collection as RegoSet).sorted();
}

/** OPA's wording of a wrong member: `operand 2 must be array of strings but got array containing number`. */
export function elementError(
  position: number,
  collection: Value,
  got: Value,
  ...wanted: readonly string[]
): OperandError {
  const kind = typeName(collection);
  const want = wanted.length === 1 ? `${wanted[0]}s` : `(any of) {${wanted.join(", ")}}`;
  return new OperandError(position, `must be ${kind} of ${want} but got ${kind} containing ${typeName(got)}`);
}

/** Members that must all be strings, in Rego's order. */
export function stringsOf(position: number, collection: Collection): readonly string[] {
  const members = membersOf(collection);
  for (const member of members) {
    if (typeof member !== "string") throw elementError(position, collection, member, "string");
  }
  return members as readonly string[];
}

/**
 * An operand OPA reads as an int64, for positions and counts: beyond 2^53 it comes back rounded, which no position notices.
 */
export function intOperand(position: number, value: NumberValue): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  const integer = toInt64(value);
  if (integer === undefined) {
    throw new OperandError(position, "must be integer number but got floating-point number");
  }
  return Number(integer);
}

/** An operand OPA reads as an integer of any size and notation (`1e3`, `2.0`). */
export function bigIntOperand(position: number, value: Value): bigint {
  if (typeof value !== "number" && typeof value !== "bigint" && typeName(value) !== "number") {
    throw new OperandError(position, `must be integer but got ${typeName(value)}`);
  }
  const integer = toBigInt(value as NumberValue);
  if (integer === undefined) {
    throw new OperandError(position, "must be integer number but got floating-point number");
  }
  return integer;
}

/** Refuses to build a text that would not fit. */
export function checkTextSize(length: number): void {
  if (!(length <= MAX_TEXT)) throw new BuiltinError(`result too large: more than ${MAX_TEXT} characters`);
}

export function bitLength(n: bigint): number {
  return n.toString(16).length * 4;
}

/** Whether every character is ASCII, so that UTF-16 units, code points and bytes coincide. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** Whether the text holds surrogates, so that UTF-16 units and code points differ. */
export function hasSurrogates(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0xd800 && code <= 0xdfff) return true;
  }
  return false;
}

export function codePointCount(text: string): number {
  let count = text.length;
  for (let i = 0; i + 1 < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0xd800 && code <= 0xdbff) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next <= 0xdfff) {
        count--;
        i++;
      }
    }
  }
  return count;
}
