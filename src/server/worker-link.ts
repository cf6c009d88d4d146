import cluster from "node:cluster";
import { BASE_PART, type Part, type PolicyStore } from "../policy/index.ts";
import { type JsonObject, parseJson, toJsonText } from "../rego/value/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";
import type { FromWorker, ToWorker } from "./worker-messages.ts";

const BEAT_MS = 250;

/** A worker's side of its supervisor. In a process that is no worker, it does nothing. */
export class WorkerLink {
  readonly #metrics: Metrics;
  readonly #store: PolicyStore;
  readonly #logger: Logger;
  readonly #questions = new Map<number, (text: string) => void>();
  #questionCount = 0;
  #isReady = false;
  /** What came before this worker had read its files, which would have replaced it. */
  #earlyBase: string | undefined;
  #beat: NodeJS.Timeout | undefined;

  constructor(metrics: Metrics, store: PolicyStore, logger: Logger) {
    this.#metrics = metrics;
    this.#store = store;
    this.#logger = logger;
    if (!cluster.isWorker) return;
    process.on("message", (message: ToWorker) => this.#onMessage(message));
    metrics.sumWith(() => this.#askForSum());
    store.onBaseWrite((base) => tell({ kind: "base", text: toText(base) }));
  }

  /** All ports are open. */
  ready(): void {
    if (!cluster.isWorker) return;
    this.#isReady = true;
    if (this.#earlyBase !== undefined) this.#takeOver(this.#earlyBase);
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
      case "base":
        if (this.#isReady) this.#takeOver(message.text);
        else this.#earlyBase = message.text;
        return;
      default:
        message satisfies never;
    }
  }

  #takeOver(text: string): void {
    try {
      this.#store.update(new Map([[BASE_PART, fromText(text)]]));
    } catch (cause) {
      this.#logger.error("What another worker was sent could not be taken over.", { err: cause });
    }
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
