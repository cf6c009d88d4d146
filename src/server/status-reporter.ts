import { STATUS_CODES } from "node:http";
import { type JsonObject, toJsonText, type Value } from "../rego/value/index.ts";
import { type LineStyle, type LineWriter, type Logger, renderLine } from "../telemetry/index.ts";

export interface StatusReporterOptions {
  readonly document: () => JsonObject;
  /** Where a line for each report goes; absent for nowhere. */
  readonly console: { readonly writer: LineWriter; readonly lines: LineStyle } | undefined;
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
    if (console !== undefined) {
      const fields = { ...report, type: "openpolicyagent.org/status" };
      const line = { level: "info", message: "Status Log", ms: Date.now(), fields };
      console.writer.write(renderLine(console.lines, line, (value) => toJsonText(value as Value)));
    }
    if (upload === undefined) return;
    const status = await upload(Buffer.from(toJsonText(report)));
    if (status < 200 || status > 299)
      throw new Error(`status update failed, server replied with HTTP ${status} ${STATUS_CODES[status] ?? ""}`.trim());
    logger.debug("Status update sent successfully.");
  }
}
