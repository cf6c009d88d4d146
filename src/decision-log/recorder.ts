import type { Logger } from "../telemetry/index.ts";
import { type JsonObject, toJsonValue, type Value } from "../rego/value/index.ts";
import { type DecisionEvent, toPolicyInput } from "./event.ts";
import { applyMask, readMaskRules } from "./mask.ts";

/** Takes finished events. `event` is the document as OPA logs it; it must not be changed. */
export interface Sink {
  readonly name: string;
  /** @throws when the event cannot be taken; the request it belongs to is then denied. */
  put(event: JsonObject): void;
  /** Delivers what is buffered, as far as that is possible within the time. */
  stop(timeoutMs: number): Promise<void>;
}

export interface RecorderOptions {
  readonly labels: JsonObject;
  readonly sinks: readonly Sink[];
  /** The decision of the drop policy about an event; undefined when there is none. @throws when it fails. */
  readonly evaluateDrop: (event: JsonObject) => Value | undefined;
  /** The decision of the mask policy. @throws when it fails. */
  readonly evaluateMask: (event: JsonObject) => Value | undefined;
  readonly logger: Logger;
}

/** Turns decisions into events, drops and masks them by policy, and hands them to every sink. */
export class DecisionRecorder {
  readonly #options: RecorderOptions;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  get isActive(): boolean {
    return this.#options.sinks.length > 0;
  }

  /**
   * Logs one event. A mask or drop policy that fails keeps the event out of the log rather than letting it out unmasked.
   *
   * @throws when a sink refuses the event.
   */
  record(decision: DecisionEvent): void {
    const { sinks, labels, logger, evaluateDrop, evaluateMask } = this.#options;
    if (sinks.length === 0) return;
    const event = toPolicyInput(decision, labels);
    try {
      if (evaluateDrop(event) === true) return;
    } catch (cause) {
      logger.error("Log drop decision failed.", { err: cause, "decision-id": decision.decisionId });
      return;
    }
    let masked: Record<string, Value>;
    try {
      const mask = evaluateMask(event);
      masked = mask === undefined ? event : applyMask(event, readMaskRules(toJsonValue(mask)));
    } catch (cause) {
      logger.error("Log event masking failed.", { err: cause, "decision-id": decision.decisionId });
      return;
    }
    if (decision.error !== undefined) masked["error"] = decision.error;
    masked["metrics"] = decision.metrics;
    for (const sink of sinks) sink.put(masked);
  }

  async stop(timeoutMs: number): Promise<void> {
    await Promise.all(this.#options.sinks.map((sink) => sink.stop(timeoutMs)));
  }
}
