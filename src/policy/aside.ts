import { compileInSteps, type Policy, policyOfImage } from "../rego/engine/index.ts";
import { type Compile, type CompilerOptions, compileOptions } from "./compile.ts";
import { type Lowered, lowerInSteps, type MeshOptions } from "./lowered.ts";
import { loweredOf } from "./lowered-pieces.ts";
import type { ModuleText } from "./module-text.ts";
import type { WaitingSteps } from "./slices.ts";
import { inThread, isWorthThread, type PolicyThread } from "./thread.ts";

/** How a snapshot is built beside requests. */
export interface Aside {
  /**
   * @param queries what the policy will be asked; anything else may compile the modules again
   * @throws {CompileError | LoadError}
   */
  compile(set: Parameters<Compile>, queries: readonly string[], signal: AbortSignal): WaitingSteps<Policy>;
  /** @throws {IstioPolicyError | LoadError} */
  lower(files: readonly ModuleText[], options: MeshOptions, signal: AbortSignal): WaitingSteps<Lowered>;
}

/** In slices between requests. */
export function asideInSlices(compile: Compile): Aside {
  return { compile: (set) => compile(...set), lower: lowerInSteps };
}

/** Much in a thread of its own, as the collector would stop requests for the trees of it; little in slices. */
export function asideInThread(compiling: CompilerOptions, thread: PolicyThread): Aside {
  const { version, keepPrint, capabilities } = compiling;
  const optionsFor = compileOptions(compiling);
  return {
    compile(set, queries, signal) {
      const options = optionsFor(...set);
      const { modules } = options;
      const here = (): WaitingSteps<Policy> => compileInSteps(options);
      if (!isWorthThread("compile", modules)) return here();
      const work = { kind: "compile", modules, version, keepPrint, capabilities, queries } as const;
      return inThread(thread, work, signal, (pieces) => policyOfImage(pieces, options), here);
    },
    lower(files, options, signal) {
      const here = (): WaitingSteps<Lowered> => lowerInSteps(files, options);
      if (!isWorthThread("lower", files)) return here();
      return inThread(thread, { kind: "lower", files, options }, signal, loweredOf, here);
    },
  };
}
