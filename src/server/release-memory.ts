/**
 * Collects all garbage and gives free memory back to the system, as V8 does when memory runs out. Takes a second or more for a
 * heap of some hundred megabytes, in which nothing else happens.
 */
export async function releaseMemory(): Promise<void> {
  const { Session } = await import("node:inspector/promises");
  const session = new Session();
  session.connect();
  try {
    await session.post("HeapProfiler.enable");
    await session.post("HeapProfiler.collectGarbage");
  } finally {
    session.disconnect();
  }
}
