import type { Steps } from "../base/index.ts";

/** How long work may hold the event loop, and how it gives it back. */
export interface Pace {
  /** At a stretch. One step that takes longer is not interrupted. */
  readonly sliceMs: number;
  nowMs(): number;
  /** Resolves when everything else that was due has run. */
  pause(): Promise<void>;
}

/** Where requests are served meanwhile: short beside what a reply over a network takes. */
export const SERVING_PACE: Pace = {
  sliceMs: 2,
  nowMs: () => performance.now(),
  pause: () => new Promise((resolve) => setImmediate(resolve)),
};

/** Drives work in slices. @throws the signal's reason, between slices, once it is aborted. */
export async function inSlices<T>(steps: Steps<T>, pace: Pace, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const untilMs = pace.nowMs() + pace.sliceMs;
    do {
      const { done, value } = steps.next();
      if (done === true) return value;
    } while (pace.nowMs() < untilMs);
    await pace.pause();
    signal?.throwIfAborted();
  }
}
