import { constants, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { finish } from "../base/index.ts";
import { allowedBuiltins, CompileError, compileImage } from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import type { ThreadEnd, ThreadTask } from "./compile-aside.ts";
import { commandBuiltins } from "./extensions.ts";

// The program of the thread that compiles large sets of modules beside requests.

const { modules, version, keepPrint, capabilities, queries, port } = workerData as ThreadTask;
// On Linux a thread has a priority of its own, elsewhere it is that of the process.
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_LOW);
const builtins = [...allowedBuiltins(nodeBuiltins, capabilities), ...commandBuiltins(undefined)];

function run(): ThreadEnd {
  try {
    for (const piece of finish(compileImage({ modules, version, keepPrint, builtins }, queries)))
      port.postMessage(piece);
    return "done";
  } catch (error) {
    if (error instanceof CompileError) return "refused";
    throw error;
  }
}

parentPort?.postMessage(run());
