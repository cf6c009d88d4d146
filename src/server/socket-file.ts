import cluster from "node:cluster";
import { existsSync, renameSync } from "node:fs";
import { removeStaleSocket } from "./listen-address.ts";

/** Longest path of a unix socket, with its final zero (sys/un.h). */
const MAX_PATH_BYTES = 107;

/**
 * Listens on a unix socket that takes the place of whatever stands at its path in one step. A server removes the file it
 * was bound to when it ends, so it is bound under a name of its own and renamed: a process that is being replaced cannot
 * take the socket of its successor with it, and clients find one of the two at any moment.
 */
export async function bindSocketFile<T>(path: string, bind: (path: string) => Promise<T>): Promise<T> {
  // Workers share the socket of their supervisor: the name must be one for all of them.
  const draft = `${path}.${cluster.isWorker ? process.ppid : process.pid}`;
  if (Buffer.byteLength(draft) > MAX_PATH_BYTES) {
    removeStaleSocket(path);
    return bind(path);
  }
  const bound = await bind(draft);
  try {
    renameSync(draft, path);
  } catch (cause) {
    // Another worker has renamed it already.
    if (!cluster.isWorker || !existsSync(path)) throw cause;
  }
  return bound;
}
