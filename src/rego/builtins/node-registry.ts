import type { Builtin } from "./define.ts";
import { portableBuiltins } from "./registry.ts";

/** All builtins: the portable ones and those that need Node (keys, certificates, tokens). One line per category. */
export const nodeBuiltins: readonly Builtin[] = [portableBuiltins].flat();
