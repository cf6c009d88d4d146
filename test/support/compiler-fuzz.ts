import { CompileError, compile, EvalError, type Policy, type Query, Suspension } from "../../src/rego/index.ts";
import { nodeBuiltins } from "../../src/rego/node.ts";
import { startClock } from "./busy.ts";

/** Longest time a small program may take from text to code; a large one may take longer. A hang takes much longer. */
const HANG_MS = 10_000;
const CODES = new Set([
  "rego_parse_error",
  "rego_compile_error",
  "rego_type_error",
  "rego_unsafe_var_error",
  "rego_recursion_error",
]);
/** What is said where the stack ends. */
const TOO_DEEP = /nested too deeply|recursion depth exceeded|rule body is too long/;

/** A call's result that is also its operand, `f({x: 1}, x)`: opa compiles it, and answers with this internal error. */
const UNBOUND = /requires evaluation/;

export interface CompilerSettings {
  readonly version: "v0" | "v1";
  readonly strict: boolean;
  readonly keepPrint: boolean;
  /** The text nests so deeply that a limit may be what is reported. */
  readonly deep: boolean;
}

/**
 * Compiles a text, makes code of every document and runs it for a few steps. Throws where a promise is broken: the
 * compiler answers with diagnostics that have a code and a place, evaluation with a result or an error with a code.
 */
export function exerciseCompiler(text: string, settings: CompilerSettings): "compiled" | "refused" {
  const elapsed = startClock();
  const query = prepare(text, settings);
  if (elapsed() > HANG_MS + text.length / 50) throw new Error("the compiler took too long");
  if (query === undefined) return "refused";
  try {
    query.value({ input: { a: [1, "b"], b: { x: true } }, maxSteps: 20_000, deadlineMs: Date.now() + 1000 });
  } catch (error) {
    if (error instanceof Suspension) return "compiled";
    if (!(error instanceof EvalError)) throw error;
    const isExpected = UNBOUND.test(error.message) || (settings.deep && TOO_DEEP.test(error.message));
    if (error.code === "eval_internal_error" && !isExpected) throw error;
  }
  return "compiled";
}

function prepare(text: string, { version, strict, keepPrint, deep }: CompilerSettings): Query | undefined {
  let policy: Policy;
  try {
    policy = compile({
      modules: [{ file: "fuzz.rego", text }],
      version,
      strict,
      keepPrint,
      annotations: true,
      builtins: nodeBuiltins,
    });
    return policy.query("data");
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    if (error.diagnostics.length === 0) throw new Error("refused without a diagnostic", { cause: error });
    for (const { code, message, at } of error.diagnostics) {
      if (!CODES.has(code)) throw new Error(`unknown code ${code}: ${message}`, { cause: error });
      if (TOO_DEEP.test(message) && !deep) throw new Error(`refused for its depth: ${message}`, { cause: error });
      if (at !== undefined && (at.offset < 0 || at.end < at.offset || at.end > text.length + 1))
        throw new Error("a diagnostic points outside of the text", { cause: error });
    }
    return undefined;
  }
}
