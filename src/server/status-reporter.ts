import { STATUS_CODES } from "node:http";
import { type JsonObject, toJsonText } from "../rego/value/index.ts";
import type { LineWriter, Logger } from "../telemetry/index.ts";

export interface StatusReporterOptions {
  readonly document: () => JsonObject;
  /** Where a line for each report goes; absent for nowhere. */
  readonly console: LineWriter | undefined;
  /** Uploads a report. @returns the status of the reply. Absent for nowhere. */
  readonly upload: ((body: Uint8Array) => Promise<number>) | undefined;
  readonly logger: Logger;
}

/**
 * Tells how bundles and plugins are whenever that changes. Reports are sent one at a time, and only the latest state counts:
 * a service that is slow gets fewer of them, and nothing piles up.
 */
export class StatusReporter {
  readonly #options: StatusReporterOptions;
  #isDue = false;
  #isSending = false;

  constructor(options: StatusReporterOptions) {
    this.#options = options;
  }

  /** Something changed. Never throws and never waits. */
  changed(): void {
    this.#isDue = true;
    if (this.#isSending) return;
    this.#isSending = true;
    // What changes together is told together.
    setImmediate(() => {
      this.#send()
        .catch((cause: unknown) => this.#options.logger.error("Status update failed.", { err: cause }))
        .finally(() => {
          this.#isSending = false;
          if (this.#isDue) this.changed();
        });
    });
  }

  async #send(): Promise<void> {
    const { document, console, upload, logger } = this.#options;
    this.#isDue = false;
    const report = document();
    if (console !== undefined) console.write(toJsonText(consoleLine(report)));
    if (upload === undefined) return;
    const status = await upload(Buffer.from(toJsonText(report)));
    if (status < 200 || status > 299)
      throw new Error(`status update failed, server replied with HTTP ${status} ${STATUS_CODES[status] ?? ""}`.trim());
    logger.debug("Status update sent successfully.");
  }
}

function consoleLine(report: JsonObject): JsonObject {
  const time = `${new Date().toISOString().slice(0, 19)}Z`;
  return { ...report, level: "info", msg: "Status Log", time, type: "openpolicyagent.org/status" };
}
