export type PluginState = "NOT_READY" | "OK" | "ERROR" | "WARN";

export interface PluginStatus {
  readonly state: PluginState;
  readonly message?: string;
}

/** How the parts of this process are, by OPA's plugin names: what `/health?plugins` and `/v1/status` tell. */
export class PluginStates {
  readonly #states = new Map<string, PluginStatus>();
  #wasReady = false;
  readonly #listeners = new Set<() => void>();

  set(name: string, state: PluginState, message?: string): void {
    const before = this.#states.get(name);
    this.#states.set(name, { state, ...(message !== undefined && { message }) });
    this.#wasReady ||= this.isReady();
    if (before?.state !== state || before.message !== message) for (const listener of this.#listeners) listener();
  }

  /** Calls back after every change. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  get(name: string): PluginStatus | undefined {
    return this.#states.get(name);
  }

  all(): ReadonlyMap<string, PluginStatus> {
    return this.#states;
  }

  isReady(except: ReadonlySet<string> = new Set()): boolean {
    return [...this.#states].every(([name, { state }]) => state === "OK" || except.has(name));
  }

  /** Whether all were OK once: latches. */
  get wasReady(): boolean {
    return this.#wasReady;
  }
}
