/** Time, given from outside so that tests can stop it. */
export interface Clock {
  /** Milliseconds since the epoch; may be set forward and back. */
  wallMs(): number;
  /** Milliseconds since some moment; never runs back. */
  monotonicMs(): number;
}

export const SYSTEM_CLOCK: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** So long a clock that was set back is not believed. */
const DISTRUST_MS = 3_600_000;
/** Slewing, and the coarseness of clocks. */
const TOLERANCE_MS = 2_000;

/**
 * The wall clock, except that it cannot be set back by surprise: a token that has expired must not come alive because
 * the clock was moved. A clock that stays back for an hour is believed again.
 */
export class SteadyClock {
  readonly #clock: Clock;
  #anchorWallMs: number;
  #anchorMonotonicMs: number;
  #backSinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#anchorWallMs = clock.wallMs();
    this.#anchorMonotonicMs = clock.monotonicMs();
  }

  /** Milliseconds since the epoch. */
  nowMs(): number {
    const wall = this.#clock.wallMs();
    const monotonic = this.#clock.monotonicMs();
    const expected = this.#anchorWallMs + (monotonic - this.#anchorMonotonicMs);
    if (wall >= expected - TOLERANCE_MS) {
      this.#backSinceMs = undefined;
      return wall;
    }
    this.#backSinceMs ??= monotonic;
    if (monotonic - this.#backSinceMs < DISTRUST_MS) return expected;
    this.#anchorWallMs = wall;
    this.#anchorMonotonicMs = monotonic;
    this.#backSinceMs = undefined;
    return wall;
  }
}
