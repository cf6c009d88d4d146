import type { Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { intOperand } from "./operands.ts";

export const arrayBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "array.concat",
    category: "array",
    about: "Joins two arrays.",
    args: [arg("x", operands.array, "the first array"), arg("y", operands.array, "the second array")],
    result: result("z", types.array(), "the elements of `x`, then those of `y`"),
    call: (context, x, y) => {
      if (x.length === 0) return y;
      if (y.length === 0) return x;
      context.spend(x.length + y.length);
      return x.concat(y);
    },
  }),
  defineBuiltin({
    name: "array.flatten",
    category: "array",
    about: "Puts the elements of nested arrays in the place of those arrays, one level deep.",
    args: [arg("arr", operands.array, "the array")],
    result: result("flattened", types.array(), "the array without its first level of nesting"),
    call: (context, arr) => {
      if (!arr.some((element) => Array.isArray(element))) return arr;
      const flat: Value[] = [];
      for (const element of arr) {
        if (Array.isArray(element)) {
          context.spend(element.length);
          for (const inner of element as readonly Value[]) flat.push(inner);
        } else flat.push(element);
      }
      return flat;
    },
  }),
  defineBuiltin({
    name: "array.slice",
    category: "array",
    about: "A part of an array. Positions outside are moved to the nearest end.",
    args: [
      arg("arr", operands.array, "the array"),
      arg("start", operands.number, "position of the first element, from 0"),
      arg("stop", operands.number, "position after the last element"),
    ],
    result: result("slice", types.array(), "the elements from `start` up to but not including `stop`"),
    call: (_context, arr, start, stop) => {
      const from = intOperand(2, start);
      const end = Math.min(Math.max(intOperand(3, stop), 0), arr.length);
      return arr.slice(Math.min(Math.max(from, 0), end), end);
    },
  }),
  defineBuiltin({
    name: "array.reverse",
    category: "array",
    about: "An array back to front.",
    args: [arg("arr", operands.array, "the array")],
    result: result("rev", types.array(), "the elements in reverse order"),
    call: (_context, arr) => (arr.length < 2 ? arr : [...arr].reverse()),
  }),
];
