import cluster from "node:cluster";
import { BASE_PART, type Part, type PolicyStore } from "../policy/index.ts";
import { type JsonObject, parseJson, toJsonText } from "../rego/value/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";
import type { FromWorker, ToWorker } from "./worker-messages.ts";

const BEAT_MS = 250;
/** What a supervisor is asked takes milliseconds: whoever waits longer than this has one in trouble. */
const ANSWER_MS = 10_000;

/** A worker's side of its supervisor. In a process that is no worker, it does nothing. */
export class WorkerLink {
  readonly #metrics: Metrics;
  readonly #store: PolicyStore;
  readonly #logger: Logger;
  readonly #questions = new Map<number, (text: string) => void>();
  readonly #lockWaiters = new Map<number, () => void>();
  #questionCount = 0;
  /** Called when the supervisor has answered `join`; undefined once it has. What is written before is in its answer. */
  #joined: (() => void) | undefined;
  #hasJoined = false;
  /** What another worker wrote last, while what it wrote before is still being taken over. */
  #nextBase: string | undefined;
  #isTakingOver = false;
  #beat: NodeJS.Timeout | undefined;

  constructor(metrics: Metrics, store: PolicyStore, logger: Logger) {
    this.#metrics = metrics;
    this.#store = store;
    this.#logger = logger;
    if (!cluster.isWorker) return;
    process.on("message", (message: ToWorker) => this.#onMessage(message));
    metrics.sumWith(() => this.#askForSum());
    store.lockWritesWith(() => this.#lock());
    store.onBaseWrite((base) => tell({ kind: "base", text: toText(base) }));
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
  }

  /** All ports are open. */
  ready(): void {
    if (!cluster.isWorker) return;
    tell({ kind: "ready" });
    this.#beat = setInterval(() => tell({ kind: "beat" }), BEAT_MS);
  }

  /** The files were read again: what the REST API wrote before counts no more. */
  filesTookOver(): void {
    if (cluster.isWorker) tell({ kind: "base", text: undefined });
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
        else go();
        return;
      }
      case "base":
        if (this.#hasJoined) void this.#takeOver(message.text);
        return;
      case "joined":
        this.#hasJoined = true;
        if (message.text !== undefined) this.#startWith(message.text);
        this.#joined?.();
        this.#joined = undefined;
        return;
      default:
        message satisfies never;
    }
  }

  #startWith(text: string): void {
    try {
      this.#store.update(new Map([[BASE_PART, fromText(text)]]));
    } catch (cause) {
      this.#reportBase(cause);
    }
  }

  /** One at a time; of those that come meanwhile the last counts. */
  async #takeOver(text: string): Promise<void> {
    this.#nextBase = text;
    if (this.#isTakingOver) return;
    this.#isTakingOver = true;
    while (this.#nextBase !== undefined) {
      const next = this.#nextBase;
      this.#nextBase = undefined;
      try {
        await this.#store.updateAside(new Map([[BASE_PART, fromText(next)]]));
      } catch (cause) {
        this.#reportBase(cause);
      }
    }
    this.#isTakingOver = false;
  }

  #reportBase(cause: unknown): void {
    this.#logger.error("What another worker was sent could not be taken over.", { err: cause });
  }

  /** Waits for the turn to write. @returns what ends it. */
  #lock(): Promise<() => void> {
    const question = this.#questionCount++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#lockWaiters.delete(question);
        reject(new Error("other workers do not let this one write"));
      }, ANSWER_MS);
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
