import { randomUUID } from "node:crypto";
import cluster, { type Worker } from "node:cluster";
import { AggregatorRegistry, Counter, Gauge, type MetricObject, Registry } from "prom-client";
import { type Logger, METRICS } from "../telemetry/index.ts";
import type { JsonObject } from "../rego/value/index.ts";
import { mergeStatuses } from "./group-status.ts";
import { type FromWorker, INSTANCE_VARIABLE, type ToWorker } from "./worker-messages.ts";

export interface SupervisorOptions {
  readonly workers: number;
  /** Silence after which a worker counts as stuck; 0 to wait for ever. */
  readonly stallMs: number;
  /** From the signal to the moment when a worker that has not ended is killed. */
  readonly stopMs: number;
  /** Heap of one worker, MiB; 0 for Node's own measure. */
  readonly heapMiB: number;
  readonly logger: Logger;
}

/** The wait before a replacement: none for a first crash, then doubling, and none again after a quiet minute. */
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 30_000;
const QUIET_MS = 60_000;
/** Metrics of a worker that does not answer are left out of the sum. */
const COLLECT_MS = 1000;

/** Workers that say within this time that files have changed mean the same change. */
const GATHER_MS = 100;
/** Longest wait for workers that read their files: writes wait for it too. */
const RELOAD_MS = 50_000;

/** Who changes the base of all workers: one of them by a write, or all by their files. */
type Turn =
  | { readonly kind: "write"; readonly worker: Worker; readonly question: number }
  | { readonly kind: "reload" };

interface Reload {
  readonly waiting: Set<number>;
  readonly timer: NodeJS.Timeout;
  isGood: boolean;
}

interface Round {
  readonly waiting: Set<number>;
  readonly metrics: (readonly MetricObject[])[];
  readonly finish: () => void;
}

/**
 * Runs several copies of this program on the same ports. It accepts connections and hands them on in turn, and serves
 * nothing itself, so that nothing a request does can end it.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #registry = new Registry();
  readonly #restarts = new Counter({
    name: "cardea_worker_restarts_total",
    help: METRICS.cardea_worker_restarts_total,
    registers: [this.#registry],
  });
  readonly #gauge = new Gauge({ name: "cardea_workers", help: METRICS.cardea_workers, registers: [this.#registry] });
  readonly #lastBeatMs = new Map<number, number>();
  readonly #rounds = new Map<number, Round>();
  readonly #instance = randomUUID();
  #base: string | undefined;
  /** The first one is on. */
  #turns: Turn[] = [];
  #reload: Reload | undefined;
  #gathering: NodeJS.Timeout | undefined;
  /** Of the last change that some worker saw. */
  #seenPrint: string | undefined;
  /** How often files were read anew, by all and when each worker began. */
  #reloads = 0;
  readonly #reloadsBefore = new Map<number, number>();
  readonly #joined = new Set<number>();
  /** What workers told of themselves last. */
  readonly #statuses = new Map<number, string>();
  #isTelling = false;
  #roundCount = 0;
  #crashes = 0;
  #lastCrashMs = Number.NEGATIVE_INFINITY;
  #isStopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /**
   * Runs until a signal ends it, or until the first worker cannot start.
   *
   * @returns the exit code.
   */
  async run(): Promise<number> {
    const { workers, heapMiB } = this.#options;
    cluster.setupPrimary({
      execArgv: heapMiB > 0 ? [...process.execArgv, `--max-old-space-size=${heapMiB}`] : process.execArgv,
    });
    cluster.on("fork", (worker) => this.#reloadsBefore.set(worker.id, this.#reloads));
    cluster.on("message", (worker, message: FromWorker) => this.#onMessage(worker, message));
    const stopped = this.#stopOnSignal();
    // Alone, the first one shows whether there is anything good to serve; a crash loop of many would not.
    const failure = await this.#startFirst();
    if (failure !== undefined) return failure;
    cluster.on("exit", (worker, code, signal) => this.#onExit(worker, signal ?? code));
    for (let i = 1; i < workers && !this.#isStopping; i++) this.#fork();
    const watchdog = this.#watch();
    await stopped;
    clearInterval(watchdog);
    return 0;
  }

  /** All workers are one instance to those they report to. */
  #fork(): Worker {
    return cluster.fork({ [INSTANCE_VARIABLE]: this.#instance });
  }

  /** @returns the exit code of a worker that ended before it was ready. */
  #startFirst(): Promise<number | undefined> {
    const worker = this.#fork();
    return new Promise((resolve) => {
      const onReady = (message: FromWorker): void => {
        if (message.kind !== "ready") return;
        worker.off("exit", onExit);
        worker.off("message", onReady);
        resolve(undefined);
      };
      const onExit = (code: number | null): void => resolve(code ?? 1);
      worker.on("message", onReady);
      worker.once("exit", onExit);
    });
  }

  #onMessage(worker: Worker, message: FromWorker): void {
    switch (message.kind) {
      case "beat":
      case "ready":
        this.#lastBeatMs.set(worker.id, performance.now());
        return;
      case "metrics": {
        const round = this.#rounds.get(message.round);
        if (round?.waiting.delete(worker.id) !== true) return;
        round.metrics.push(message.metrics);
        if (round.waiting.size === 0) round.finish();
        return;
      }
      case "sum":
        this.#sum().then(
          (text) => send(worker, { kind: "sum", question: message.question, text }),
          (cause: unknown) => this.#options.logger.error("Metrics could not be summed.", { err: cause }),
        );
        return;
      case "base":
        this.#base = message.text;
        for (const other of workersNow()) if (other !== worker) send(other, { kind: "base", text: message.text });
        return;
      case "join":
        this.#joined.add(worker.id);
        send(worker, {
          kind: "joined",
          text: this.#base,
          isStale: this.#reloads > (this.#reloadsBefore.get(worker.id) ?? 0),
        });
        return;
      case "stale":
        // All see a change, each in its time. Files that were read since must not be read again: that would undo what the
        // REST API has written meanwhile.
        if (message.print !== undefined && message.print === this.#seenPrint) return;
        this.#seenPrint = message.print ?? this.#seenPrint;
        this.#gathering ??= setTimeout(() => {
          this.#gathering = undefined;
          this.#enqueue({ kind: "reload" });
        }, GATHER_MS);
        return;
      case "reloaded":
        if (this.#reload === undefined) return;
        this.#reload.isGood ||= message.isGood;
        this.#hasReloaded(worker.id);
        return;
      case "status":
        this.#statuses.set(worker.id, message.text);
        this.#tellGroup();
        return;
      case "lock":
        this.#enqueue({ kind: "write", worker, question: message.question });
        return;
      case "unlock":
        if (this.#isTurnOf(worker)) this.#endTurn();
        return;
      default:
        message satisfies never;
    }
  }

  /** Of changes that come together all workers are told once. */
  #tellGroup(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      const documents = [...this.#statuses.values()].map((text) => JSON.parse(text) as JsonObject);
      const text = JSON.stringify(mergeStatuses(documents));
      const [reporter] = this.#statuses.keys();
      for (const worker of workersNow()) send(worker, { kind: "group", text, isReporter: worker.id === reporter });
    });
  }

  #enqueue(turn: Turn): void {
    this.#turns.push(turn);
    if (this.#turns.length === 1) this.#beginTurn();
  }

  #isTurnOf(worker: Worker): boolean {
    const [first] = this.#turns;
    return first?.kind === "write" && first.worker === worker;
  }

  #endTurn(): void {
    this.#turns.shift();
    this.#beginTurn();
  }

  #beginTurn(): void {
    const [first] = this.#turns;
    if (first === undefined) return;
    if (first.kind === "write") {
      send(first.worker, { kind: "locked", question: first.question });
      return;
    }
    this.#reloads++;
    // One that is still starting is told when it joins.
    const workers = workersNow().filter(({ id }) => this.#joined.has(id));
    const waiting = new Set(workers.map(({ id }) => id));
    this.#reload = { waiting, isGood: false, timer: setTimeout(() => this.#endReload(), RELOAD_MS) };
    for (const worker of workers) send(worker, { kind: "reload" });
    if (waiting.size === 0) this.#endReload();
  }

  #hasReloaded(id: number): void {
    if (this.#reload?.waiting.delete(id) === true && this.#reload.waiting.size === 0) this.#endReload();
  }

  #endReload(): void {
    if (this.#reload === undefined) return;
    clearTimeout(this.#reload.timer);
    // What the REST API wrote before counts no more, unless the files are not good.
    if (this.#reload.isGood) this.#base = undefined;
    this.#reload = undefined;
    this.#endTurn();
  }

  async #sum(): Promise<string> {
    const round = this.#roundCount++;
    this.#gauge.set(this.#lastBeatMs.size);
    const metrics: (readonly MetricObject[])[] = [(await this.#registry.getMetricsAsJSON()) as MetricObject[]];
    // One that has just begun has counted nothing yet, and would not answer before it serves.
    const asked = workersNow().filter(({ id }) => this.#lastBeatMs.has(id));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, COLLECT_MS);
      const waiting = new Set(asked.map(({ id }) => id));
      this.#rounds.set(round, {
        waiting,
        metrics,
        finish: () => {
          clearTimeout(timer);
          resolve();
        },
      });
      for (const worker of asked) send(worker, { kind: "collect", round });
    });
    this.#rounds.delete(round);
    return AggregatorRegistry.aggregate(metrics as unknown as MetricObject[]).metrics();
  }

  #onExit(worker: Worker, reason: string | number): void {
    this.#lastBeatMs.delete(worker.id);
    this.#joined.delete(worker.id);
    if (this.#statuses.delete(worker.id)) this.#tellGroup();
    this.#reloadsBefore.delete(worker.id);
    const isWriting = this.#isTurnOf(worker);
    this.#turns = this.#turns.filter((turn) => turn.kind === "reload" || turn.worker !== worker);
    if (isWriting) this.#beginTurn();
    this.#hasReloaded(worker.id);
    if (this.#isStopping) return;
    const nowMs = performance.now();
    this.#crashes = nowMs - this.#lastCrashMs > QUIET_MS ? 0 : this.#crashes + 1;
    this.#lastCrashMs = nowMs;
    const delayMs =
      this.#crashes < this.#options.workers
        ? 0
        : Math.min(FIRST_BACKOFF_MS * 2 ** (this.#crashes - this.#options.workers), MAX_BACKOFF_MS);
    this.#restarts.inc();
    this.#options.logger.error("A worker ended. It is replaced.", {
      pid: worker.process.pid,
      reason,
      delay_ms: delayMs,
    });
    setTimeout(() => {
      if (!this.#isStopping) this.#fork();
    }, delayMs);
  }

  /** A worker whose event loop stands still answers nobody: its calls are better ended, and its connections taken over. */
  #watch(): NodeJS.Timeout {
    const { stallMs, logger } = this.#options;
    return setInterval(
      () => {
        if (stallMs === 0) return;
        for (const worker of workersNow()) {
          const beatMs = this.#lastBeatMs.get(worker.id);
          if (beatMs === undefined || performance.now() - beatMs <= stallMs) continue;
          logger.error("A worker does not answer. It is killed.", { pid: worker.process.pid });
          this.#lastBeatMs.delete(worker.id);
          worker.process.kill("SIGKILL");
        }
      },
      Math.max(100, stallMs / 4),
    );
  }

  /** Resolves when every worker has ended. */
  #stopOnSignal(): Promise<void> {
    return new Promise((resolve) => {
      const stop = (): void => {
        if (this.#isStopping) return;
        this.#isStopping = true;
        const workers = workersNow();
        let running = workers.length;
        if (running === 0) resolve();
        const timer = setTimeout(() => {
          for (const worker of workersNow()) worker.process.kill("SIGKILL");
        }, this.#options.stopMs);
        for (const worker of workers) {
          worker.once("exit", () => {
            running--;
            if (running > 0) return;
            clearTimeout(timer);
            resolve();
          });
          worker.process.kill("SIGTERM");
        }
      };
      process.on("SIGTERM", stop);
      process.on("SIGINT", stop);
      process.on("SIGPIPE", () => undefined);
    });
  }
}

function workersNow(): readonly Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined && !worker.isDead()) as Worker[];
}

/** A worker that is just going away takes no messages; it needs none. */
function send(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, undefined, () => undefined);
}
