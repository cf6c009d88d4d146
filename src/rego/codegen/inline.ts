import { type Js, js } from "./js.ts";
import type { CallableBuiltin } from "./unit.ts";

/**
 * Code in place of a call: `total` needs no check and never fails; `guarded` is right only when `when` holds, and the
 * real builtin answers otherwise.
 */
export type Inlined =
  | { readonly kind: "total"; readonly code: Js }
  | { readonly kind: "guarded"; readonly when: Js; readonly code: Js };

type Make = (...args: Js[]) => Inlined;

const order = (ofNumbers: (a: Js, b: Js) => Js, ofOrder: (order: Js) => Js): Make => {
  return (a, b) => ({
    kind: "total",
    code: js`typeof ${a} === "number" && typeof ${b} === "number" ? ${ofNumbers(a, b)} : ${ofOrder(js`rt.compare(${a}, ${b})`)}`,
  });
};

const strings = (code: (a: Js, b: Js) => Js): Make => {
  return (a, b) => ({
    kind: "guarded",
    when: js`typeof ${a} === "string" && typeof ${b} === "string"`,
    code: code(a, b),
  });
};

/** Sums of integers below 2^51 stay exact. */
const integers = (code: (a: Js, b: Js) => Js): Make => {
  return (a, b) => ({ kind: "guarded", when: js`rt.isSmall(${a}) && rt.isSmall(${b})`, code: code(a, b) });
};

const INLINE: ReadonlyMap<string, Make> = new Map<string, Make>([
  ["equal", (a, b) => ({ kind: "total", code: js`${a} === ${b} || rt.eq(${a}, ${b})` })],
  ["neq", (a, b) => ({ kind: "total", code: js`${a} !== ${b} && !rt.eq(${a}, ${b})` })],
  [
    "lt",
    order(
      (a, b) => js`${a} < ${b}`,
      (o) => js`${o} < 0`,
    ),
  ],
  [
    "lte",
    order(
      (a, b) => js`${a} <= ${b}`,
      (o) => js`${o} <= 0`,
    ),
  ],
  [
    "gt",
    order(
      (a, b) => js`${a} > ${b}`,
      (o) => js`${o} > 0`,
    ),
  ],
  [
    "gte",
    order(
      (a, b) => js`${a} >= ${b}`,
      (o) => js`${o} >= 0`,
    ),
  ],
  ["startswith", strings((a, b) => js`${a}.startsWith(${b})`)],
  ["endswith", strings((a, b) => js`${a}.endsWith(${b})`)],
  ["contains", strings((a, b) => js`${a}.includes(${b})`)],
  ["count", (a) => ({ kind: "guarded", when: js`Array.isArray(${a})`, code: js`${a}.length` })],
  ["plus", integers((a, b) => js`${a} + ${b}`)],
  ["minus", integers((a, b) => js`${a} - ${b}`)],
]);

/** The inline form of a builtin, where it has one. */
export function inlineCall(builtin: CallableBuiltin, args: readonly Js[]): Inlined | undefined {
  return INLINE.get(builtin.name)?.(...args);
}
