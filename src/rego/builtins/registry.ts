import { comparisonBuiltins } from "./comparison.ts";
import type { Builtin } from "./define.ts";
import { internalBuiltins } from "./internal.ts";
import { tracingBuiltins } from "./tracing.ts";

/** Builtins that run anywhere JavaScript does, browsers included. One line per category. */
export const portableBuiltins: readonly Builtin[] = [comparisonBuiltins, internalBuiltins, tracingBuiltins].flat();
