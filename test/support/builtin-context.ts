import { type Builtin, callBuiltin } from "../../src/rego/builtins/index.ts";
import type { BuiltinContext } from "../../src/rego/runtime/index.ts";
import type { Value } from "../../src/rego/value/index.ts";

/** A context whose clock stands still and whose chance is not random; refuses I/O. */
export function builtinContext(overrides: Partial<BuiltinContext> = {}): BuiltinContext {
  return {
    nowNs: 1_700_000_000_000_000_000n,
    random: (bytes) => bytes.fill(7),
    memo: new Map(),
    runtime: {},
    env: {},
    spend() {},
    io() {
      throw new Error("no input or output in this test");
    },
    note() {},
    print() {},
    ...overrides,
  };
}

/** Calls a builtin of a category by name, with its operand checks. */
export function caller(builtins: readonly Builtin[], context = builtinContext()) {
  return (name: string, ...operands: readonly Value[]): Value | undefined => {
    const builtin = builtins.find((candidate) => candidate.name === name);
    if (builtin === undefined) throw new Error(`no builtin ${name}`);
    return callBuiltin(builtin, context, ...operands);
  };
}
