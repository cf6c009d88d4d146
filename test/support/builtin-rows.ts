import { expect, test } from "vitest";
import type { Builtin } from "../../src/rego/builtins/index.ts";
import { BuiltinError } from "../../src/rego/runtime/index.ts";
import { parseJson, toJsonText, toJsonValue, type Value } from "../../src/rego/value/index.ts";
import { caller } from "./builtin-context.ts";

/** A builtin, its operands as a JSON array (numbers keep their text), and the JSON text of its answer. */
export type AnswerRow = readonly [name: string, operands: string, want: string];
/** A builtin, its operands, and its error without the name; undefined where it has no answer and no error. */
export type RefusalRow = readonly [name: string, operands: string, want: string | undefined];

export function testAnswers(builtins: readonly Builtin[], rows: readonly AnswerRow[]): void {
  const call = caller(builtins);
  test.for(rows)("%s %s", ([name, operands, want]) => {
    const value = call(name, ...(parseJson(operands) as readonly Value[]));
    expect(value === undefined ? "undefined" : toJsonText(toJsonValue(value))).toBe(want);
  });
}

export function testRefusals(builtins: readonly Builtin[], rows: readonly RefusalRow[]): void {
  const call = caller(builtins);
  test.for(rows)("refuses %s %s", ([name, operands, want]) => {
    const run = () => call(name, ...(parseJson(operands) as readonly Value[]));
    if (want === undefined) {
      expect(run()).toBe(undefined);
      return;
    }
    let caught: unknown;
    try {
      run();
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(BuiltinError);
    expect((caught as BuiltinError).message).toBe(want);
  });
}
