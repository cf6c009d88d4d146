import cluster from "node:cluster";
import { BASE_PART, type Part, type PolicyStore } from "../policy/index.ts";
import { type JsonObject, parseJson, toJsonText } from "../rego/value/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";
import type { StatusBoard } from "./status-board.ts";
import type { FromWorker, ToWorker } from "./worker-messages.ts";

const BEAT_MS = 250;
/** What a supervisor is asked takes milliseconds: whoever waits longer than this has one in trouble. */
const ANSWER_MS = 10_000;
/** A turn to write comes after the others', and after files that all are reading. */
const TURN_MS = 60_000;

/** What happens to the base one after the other, in the order in which the supervisor said it. */
type Job =
  | { readonly kind: "base"; readonly text: string; readonly isAtOnce: boolean }
  | { readonly kind: "reload"; readonly isAnswered: boolean };

export interface LinkedParts {
  readonly metrics: Metrics;
  readonly store: PolicyStore;
  readonly board: StatusBoard;
  readonly logger: Logger;
}

/** A worker's side of its supervisor. In a process that is no worker, it does nothing. */
export class WorkerLink {
  readonly #metrics: Metrics;
  readonly #store: PolicyStore;
  readonly #board: StatusBoard;
  #isTelling = false;
  readonly #logger: Logger;
  readonly #reload: () => Promise<boolean>;
  readonly #questions = new Map<number, (text: string) => void>();
  readonly #lockWaiters = new Map<number, () => void>();
  #questionCount = 0;
  /** Called when the supervisor has answered `join`; undefined once it has. What is written before is in its answer. */
  #joined: (() => void) | undefined;
  #hasJoined = false;
  readonly #jobs: Job[] = [];
  /** Resolves when no job is left. */
  #work: Promise<void> | undefined;
  #beat: NodeJS.Timeout | undefined;

  /** @param reload  Reads the files again. @returns whether what they say took over; never throws. */
  constructor({ metrics, store, board, logger }: LinkedParts, reload: () => Promise<boolean>) {
    this.#metrics = metrics;
    this.#store = store;
    this.#board = board;
    this.#logger = logger;
    this.#reload = reload;
    if (!cluster.isWorker) return;
    process.on("message", (message: ToWorker) => this.#onMessage(message));
    metrics.sumWith(() => this.#askForSum());
    store.lockWritesWith(() => this.#lock());
    store.onBaseWrite((base) => tell({ kind: "base", text: toText(base) }));
  }

  get isWorker(): boolean {
    return cluster.isWorker;
  }

  /** Takes over what the REST API has written to others. Called when the files are read, which would replace it. */
  async join(): Promise<void> {
    if (!cluster.isWorker) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the supervisor does not answer")), ANSWER_MS);
      this.#joined = () => {
        clearTimeout(timer);
        resolve();
      };
      tell({ kind: "join" });
    });
    await this.#work;
  }

  /** All ports are open: from now on it counts how this worker is. */
  ready(): void {
    if (!cluster.isWorker) return;
    tell({ kind: "ready" });
    this.#board.shareWith(() => this.#tellStatus());
    this.#beat = setInterval(() => tell({ kind: "beat" }), BEAT_MS);
  }

  /** All workers read the files again, in one turn among those who write: a write is before it in all of them, or after. */
  askForReload(print: string | undefined): void {
    tell({ kind: "stale", print });
  }

  /** What changes together is told together. */
  #tellStatus(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      tell({ kind: "status", text: toJsonText(this.#board.own()) });
    });
  }

  /** The channel would keep the process alive. */
  close(): void {
    clearInterval(this.#beat);
    if (cluster.isWorker && process.connected) process.disconnect();
  }

  #onMessage(message: ToWorker): void {
    switch (message.kind) {
      case "collect": {
        const { round } = message;
        this.#metrics.values().then(
          (metrics) => tell({ kind: "metrics", round, metrics }),
          (cause: unknown) => this.#logger.error("Metrics could not be collected.", { err: cause }),
        );
        return;
      }
      case "sum":
        this.#questions.get(message.question)?.(message.text);
        return;
      case "locked": {
        const go = this.#lockWaiters.get(message.question);
        // Nobody waits any more: the turn is the next one's.
        if (go === undefined) tell({ kind: "unlock" });
        else void (this.#work ?? Promise.resolve()).then(go);
        return;
      }
      case "base":
        if (this.#hasJoined) this.#enqueue({ kind: "base", text: message.text, isAtOnce: false });
        return;
      case "group":
        this.#board.setGroup(parseJson(message.text) as JsonObject, message.isReporter);
        return;
      case "reload":
        this.#enqueue({ kind: "reload", isAnswered: true });
        return;
      case "joined":
        this.#hasJoined = true;
        if (message.isStale) this.#enqueue({ kind: "reload", isAnswered: false });
        if (message.text !== undefined) this.#enqueue({ kind: "base", text: message.text, isAtOnce: true });
        this.#joined?.();
        this.#joined = undefined;
        return;
      default:
        message satisfies never;
    }
  }

  #enqueue(job: Job): void {
    // Of writes without a reload between them the last counts.
    if (job.kind === "base" && this.#jobs.at(-1)?.kind === "base") this.#jobs.pop();
    this.#jobs.push(job);
    this.#work ??= this.#doJobs().finally(() => {
      this.#work = undefined;
    });
  }

  /** Never throws. */
  async #doJobs(): Promise<void> {
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      if (job.kind === "base") await this.#takeOver(job.text, job.isAtOnce);
      else {
        const isGood = await this.#reload();
        if (job.isAnswered) tell({ kind: "reloaded", isGood });
      }
    }
  }

  async #takeOver(text: string, isAtOnce: boolean): Promise<void> {
    try {
      const changes = new Map([[BASE_PART, fromText(text)]]);
      if (isAtOnce) this.#store.update(changes);
      else await this.#store.updateAside(changes);
    } catch (cause) {
      this.#logger.error("What another worker was sent could not be taken over.", { err: cause });
    }
  }

  /** Waits for the turn to write. @returns what ends it. */
  #lock(): Promise<() => void> {
    const question = this.#questionCount++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#lockWaiters.delete(question);
        reject(new Error("other workers do not let this one write"));
      }, TURN_MS);
      this.#lockWaiters.set(question, () => {
        clearTimeout(timer);
        this.#lockWaiters.delete(question);
        resolve(() => tell({ kind: "unlock" }));
      });
      tell({ kind: "lock", question });
    });
  }

  async #askForSum(): Promise<string> {
    const question = this.#questionCount++;
    try {
      return await new Promise((resolve) => {
        this.#questions.set(question, resolve);
        tell({ kind: "sum", question });
      });
    } finally {
      this.#questions.delete(question);
    }
  }
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, {}, () => undefined);
}

/** Documents travel as JSON text, which keeps numbers as they were written. */
function toText({ data, ...rest }: Part): string {
  return JSON.stringify({ rest, data: toJsonText(data) });
}

function fromText(text: string): Part {
  const { rest, data } = JSON.parse(text) as { rest: Omit<Part, "data">; data: string };
  return { ...rest, data: parseJson(data) as JsonObject };
}
