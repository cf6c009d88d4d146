import { constants, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { finish } from "../base/index.ts";
import { IstioPolicyError } from "../istio/index.ts";
import { allowedBuiltins, CompileError, compileImage, type PolicyPiece } from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import { commandBuiltins } from "./extensions.ts";
import { lowerInSteps } from "./lowered.ts";
import { type LoweredPiece, piecesOfLowered } from "./lowered-pieces.ts";
import type { CompileTask, LowerTask, ThreadEnd, ThreadTask } from "./thread.ts";

// The program of the thread that compiles and lowers large sets beside requests.

const { work, port } = workerData as ThreadTask;
// On Linux a thread has a priority of its own, elsewhere it is that of the process.
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_LOW);

function run(): ThreadEnd {
  try {
    for (const piece of work.kind === "compile" ? compiled(work) : lowered(work)) port.postMessage(piece);
    return "done";
  } catch (error) {
    if (error instanceof CompileError || error instanceof IstioPolicyError) return "refused";
    throw error;
  }
}

function compiled({ modules, version, keepPrint, capabilities, queries }: CompileTask): Iterable<PolicyPiece> {
  const builtins = [...allowedBuiltins(nodeBuiltins, capabilities), ...commandBuiltins(undefined)];
  return finish(compileImage({ modules, version, keepPrint, builtins }, queries));
}

function lowered({ files, options }: LowerTask): Iterable<LoweredPiece> {
  return piecesOfLowered(finish(lowerInSteps(files, options)));
}

parentPort?.postMessage(run());
