import { type BuiltinContext, BuiltinError } from "../runtime/index.ts";
import {
  ArithmeticError,
  absolute,
  ceil,
  divide,
  floor,
  fromBigInt,
  isNumber,
  isSet,
  minus,
  type NumberValue,
  plus,
  remainder,
  round,
  times,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, operandTypeError, result, types } from "./define.ts";
import { bigIntOperand, intOperand, shared } from "./operands.ts";
import { difference } from "./sets.ts";

type Binary = (a: NumberValue, b: NumberValue) => NumberValue;

function calculate(calculation: () => NumberValue): NumberValue {
  try {
    return calculation();
  } catch (error) {
    if (error instanceof ArithmeticError) throw new BuiltinError(error.message, { cause: error });
    throw error;
  }
}

function infix(name: string, sign: string, about: string, operation: Binary): Builtin {
  return defineBuiltin({
    name,
    category: "numbers",
    about,
    infix: sign,
    args: [arg("x", operands.number, "the left operand"), arg("y", operands.number, "the right operand")],
    result: result("z", types.number, `\`x ${sign} y\``),
    call: (_context, x, y) => calculate(() => operation(x, y)),
  });
}

function unary(name: string, about: string, operation: (x: NumberValue) => NumberValue): Builtin {
  return defineBuiltin({
    name,
    category: "numbers",
    about,
    args: [arg("x", operands.number, "the number")],
    result: result("y", types.number, "the outcome"),
    call: (_context, x) => calculate(() => operation(x)),
  });
}

const numberOrSet = operands.of<Value>(types.oneOf(types.number, types.set()));

/** Its own message for each mixture of types, as in OPA (topdown/arithmetic.go builtinMinus). */
function subtract(x: Value, y: Value): Value {
  if (isNumber(x)) {
    if (!isNumber(y)) throw operandTypeError(2, ["number"], y);
    return calculate(() => minus(x, y));
  }
  if (!isSet(x)) throw operandTypeError(1, ["number", "set"], x);
  if (isSet(y)) return difference(x, y);
  throw operandTypeError(2, [isNumber(y) ? "set" : "number"], y);
}

function range(context: BuiltinContext, from: bigint, to: bigint, step: bigint): Value {
  const up = from <= to;
  const count = (up ? to - from : from - to) / step + 1n;
  if (count > 10_000_000n) throw new BuiltinError("result too large: more than 10000000 numbers");
  const length = Number(count);
  context.spend(length);
  const stride = up ? step : -step;
  const first = fromBigInt(from);
  const strideNumber = fromBigInt(stride);
  const last = fromBigInt(from + stride * (count - 1n));
  const numbers: Value[] = new Array<Value>(length);
  if (typeof first === "number" && typeof last === "number" && typeof strideNumber === "number") {
    for (let i = 0; i < length; i++) numbers[i] = first + i * strideNumber;
  } else {
    for (let i = 0; i < length; i++) numbers[i] = fromBigInt(from + BigInt(i) * stride);
  }
  return numbers;
}

/** A uniform integer below `n`: bits that would favour some results are drawn again. */
function randomBelow(context: BuiltinContext, n: bigint): bigint {
  if (n === 1n) return 0n;
  const bits = (n - 1n).toString(2).length;
  const bytes = new Uint8Array(Math.ceil(bits / 8));
  for (;;) {
    context.random(bytes);
    let drawn = 0n;
    for (const byte of bytes) drawn = (drawn << 8n) | BigInt(byte);
    drawn = BigInt.asUintN(bits, drawn);
    if (drawn < n) return drawn;
    context.spend(1);
  }
}

export const numberBuiltins: readonly Builtin[] = [
  infix("plus", "+", "Adds two numbers.", plus),
  defineBuiltin({
    name: "minus",
    category: "numbers",
    about: "Subtracts a number from a number, or a set from a set.",
    infix: "-",
    args: [arg("x", numberOrSet, "the left operand"), arg("y", numberOrSet, "what to take away")],
    result: result("z", types.oneOf(types.number, types.set()), "`x - y`"),
    call: (_context, x, y) => subtract(x, y),
  }),
  infix("mul", "*", "Multiplies two numbers.", times),
  infix("div", "/", "Divides a number by another; an error if that is zero.", divide),
  infix("rem", "%", "The remainder of an integer division, with the sign of `x`.", remainder),
  unary("round", "Rounds to the nearest integer, halves away from zero.", round),
  unary("ceil", "Rounds up to an integer.", ceil),
  unary("floor", "Rounds down to an integer.", floor),
  unary("abs", "The number without its sign.", absolute),
  defineBuiltin({
    name: "rand.intn",
    category: "numbers",
    about: "A random integer, the same for equal operands within one query.",
    nondeterministic: true,
    args: [
      arg("str", operands.string, "a name for the number"),
      arg("n", operands.number, "the bound; its sign is ignored"),
    ],
    result: result("y", types.number, "an integer from 0 up to but not including `n`; 0 for 0"),
    call: (context, name, n) => {
      intOperand(2, n);
      const bound = bigIntOperand(2, n);
      if (bound === 0n) return 0;
      const size = bound < 0n ? -bound : bound;
      const key = `rand.intn:${name}-${size}`;
      const known = context.memo.get(key);
      if (known !== undefined) return known;
      const drawn = fromBigInt(randomBelow(context, size));
      context.memo.set(key, drawn);
      return drawn;
    },
  }),
  defineBuiltin({
    name: "numbers.range",
    category: "numbers",
    about: "The integers from one to another, both included, downwards if the first is greater.",
    args: [arg("a", shared.integer, "where to start"), arg("b", shared.integer, "where to end")],
    result: result("range", types.array(types.number), "the integers from `a` to `b`"),
    call: (context, a, b) => range(context, bigIntOperand(1, a), bigIntOperand(2, b), 1n),
  }),
  defineBuiltin({
    name: "numbers.range_step",
    category: "numbers",
    about: "Every so many integers from one to another, downwards if the first is greater.",
    args: [
      arg("a", shared.integer, "where to start"),
      arg("b", shared.integer, "where to end at the latest"),
      arg("step", shared.integer, "the distance, a positive integer"),
    ],
    result: result("range", types.array(types.number), "the integers from `a` towards `b`"),
    call: (context, a, b, step) => {
      const from = bigIntOperand(1, a);
      const to = bigIntOperand(2, b);
      const stride = bigIntOperand(3, step);
      if (stride <= 0n) throw new BuiltinError("numbers.range_step: step must be a positive integer");
      return range(context, from, to, stride);
    },
  }),
];
