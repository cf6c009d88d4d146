import { StoreError } from "./store.ts";

export interface BreakerOptions {
  /** Failures in a row after which nothing is asked for a while. */
  readonly failures?: number;
  /** The first pause; doubled with every failed trial. */
  readonly minPauseMs?: number;
  readonly maxPauseMs?: number;
  /** Milliseconds, never running backwards. */
  readonly clock?: () => number;
}

/** Spares a store that fails, and its callers the waiting: after some failures all calls fail at once, but for a trial now and then. */
export class Breaker {
  readonly #failuresToOpen: number;
  readonly #minPauseMs: number;
  readonly #maxPauseMs: number;
  readonly #clock: () => number;
  #failures = 0;
  #pauseMs = 0;
  #openUntilMs = 0;
  #trying = false;

  constructor({
    failures = 5,
    minPauseMs = 250,
    maxPauseMs = 2000,
    clock = () => performance.now(),
  }: BreakerOptions = {}) {
    this.#failuresToOpen = failures;
    this.#minPauseMs = minPauseMs;
    this.#maxPauseMs = maxPauseMs;
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return this.#failures >= this.#failuresToOpen;
  }

  /** @throws {StoreError} code `open` instead of calling; otherwise as `call` does */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const trial = this.isOpen;
    if (trial) {
      if (this.#trying || this.#clock() < this.#openUntilMs) throw new StoreError("open");
      this.#trying = true;
    }
    try {
      const result = await call();
      this.#failures = 0;
      this.#pauseMs = 0;
      return result;
    } catch (error) {
      this.#failures++;
      // Calls that were under way when it opened do not prolong the pause.
      if (this.isOpen && (trial || this.#failures === this.#failuresToOpen)) {
        this.#pauseMs = Math.min(this.#maxPauseMs, this.#pauseMs === 0 ? this.#minPauseMs : this.#pauseMs * 2);
        this.#openUntilMs = this.#clock() + this.#pauseMs;
      }
      throw error;
    } finally {
      if (trial) this.#trying = false;
    }
  }
}
