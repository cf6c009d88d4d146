import { type BuiltinContext, BuiltinError, OperandError } from "../runtime/index.ts";
import { fromBigInt, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, result, types } from "./define.ts";
import { bigIntOperand, bitLength, MAX_INTEGER_BITS, shared } from "./operands.ts";

function binary(
  name: string,
  about: string,
  second: { readonly name: string; readonly about: string },
  operation: (context: BuiltinContext, x: bigint, y: bigint) => bigint,
): Builtin {
  return defineBuiltin({
    name,
    category: "bits",
    about,
    args: [arg("x", shared.integer, "the first integer"), arg(second.name, shared.integer, second.about)],
    result: result("z", types.number, "the outcome, at any size"),
    call: (context, x: Value, y: Value) => fromBigInt(operation(context, bigIntOperand(1, x), bigIntOperand(2, y))),
  });
}

function checkShift(places: bigint): void {
  if (places < 0n) throw new OperandError(2, "must be an unsigned integer number but got a negative integer");
}

const other = { name: "y", about: "the second integer" };
const places = { name: "s", about: "how many bits, 0 or more" };

export const bitBuiltins: readonly Builtin[] = [
  binary("bits.or", "The bitwise OR of two integers.", other, (_context, x, y) => x | y),
  binary("bits.and", "The bitwise AND of two integers.", other, (_context, x, y) => x & y),
  defineBuiltin({
    name: "bits.negate",
    category: "bits",
    about: "Flips all bits of an integer.",
    args: [arg("x", shared.integer, "the integer")],
    result: result("z", types.number, "`-x - 1`"),
    call: (_context, x) => fromBigInt(~bigIntOperand(1, x)),
  }),
  binary("bits.xor", "The bitwise exclusive OR of two integers.", other, (_context, x, y) => x ^ y),
  binary("bits.lsh", "Shifts the bits of an integer to the left.", places, (context, x, s) => {
    checkShift(s);
    // `1 << 10_000_000_000` must not cost us the process.
    if (s + BigInt(bitLength(x)) > BigInt(MAX_INTEGER_BITS)) {
      throw new BuiltinError(`result too large: more than ${MAX_INTEGER_BITS} bits`);
    }
    context.spend(Number(s >> 6n));
    return x << s;
  }),
  binary("bits.rsh", "Shifts the bits of an integer to the right; the sign stays.", places, (_context, x, s) => {
    checkShift(s);
    return s > BigInt(bitLength(x)) ? (x < 0n ? -1n : 0n) : x >> s;
  }),
];
