/** How long work may hold the event loop, and how it gives it back. */
export interface Pace {
  /** At a stretch. One step that takes longer is not interrupted. */
  readonly sliceMs: number;
  nowMs(): number;
  /** Resolves when what else was due has run. */
  pause(): Promise<void>;
  /** Called before each work that requests are served beside. */
  readonly begin?: (() => void) | undefined;
}

/** A turn of the event loop this short has read no request and answered none. */
const IDLE_TURN_MS = 0.05;
/** On a server without an idle turn the work still gets its slice after this long. */
const LONGEST_PAUSE_MS = 4;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Where requests are served meanwhile. A request takes several turns of the loop from its arrival to its answer; it should
 * wait for one slice at most, not for one in each turn.
 */
export const SERVING_PACE: Pace = {
  sliceMs: 1,
  nowMs: () => performance.now(),
  async pause() {
    let fromMs = performance.now();
    const untilMs = fromMs + LONGEST_PAUSE_MS;
    for (;;) {
      await turn();
      const nowMs = performance.now();
      if (nowMs - fromMs < IDLE_TURN_MS || nowMs >= untilMs) return;
      fromMs = nowMs;
    }
  },
};

/** Work in steps that may also have to wait. */
export type WaitingSteps<T> = Generator<Promise<void> | void, T, void>;

/** The result of something to wait for, as a step. */
export function* waitFor<T>(promise: Promise<T>): WaitingSteps<T> {
  const settled: { result?: PromiseSettledResult<T> } = {};
  yield Promise.allSettled([promise]).then(([result]) => {
    settled.result = result;
  });
  const { result } = settled;
  if (result?.status === "fulfilled") return result.value;
  throw result?.reason;
}

/** Drives work in slices. @throws the signal's reason, before a slice, once it is aborted. */
export async function inSlices<T>(steps: WaitingSteps<T>, pace: Pace, signal?: AbortSignal): Promise<T> {
  try {
    for (;;) {
      signal?.throwIfAborted();
      const untilMs = pace.nowMs() + pace.sliceMs;
      do {
        const { done, value } = steps.next();
        if (done === true) return value as T;
        if (value instanceof Promise) await value;
      } while (pace.nowMs() < untilMs);
      await pace.pause();
    }
  } finally {
    // What is dropped half-way may have something to close.
    steps.return(undefined as T);
  }
}
