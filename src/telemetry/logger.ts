import { type LineStyle, renderLine } from "./line-style.ts";
import type { LineWriter } from "./line-writer.ts";

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  readonly level: LogLevel;
  isEnabled(level: LogLevel): boolean;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger with members on every line. */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly style: LineStyle;
  readonly writer: LineWriter;
  /** The wall clock, milliseconds. */
  readonly now?: () => number;
}

/** A logger whose lines are OPA's. */
export function createLogger(options: LoggerOptions): Logger {
  return new LineLogger(options, {});
}

/** Discards everything. */
export const SILENT_LOGGER: Logger = {
  level: "error",
  isEnabled: () => false,
  debug: () => undefined,
  info: () => undefined,
  warning: () => undefined,
  error: () => undefined,
  with: () => SILENT_LOGGER,
};

class LineLogger implements Logger {
  readonly #options: LoggerOptions;
  readonly #fields: LogFields;
  readonly #rank: number;

  constructor(options: LoggerOptions, fields: LogFields) {
    this.#options = options;
    this.#fields = fields;
    this.#rank = LOG_LEVELS.indexOf(options.level);
  }

  get level(): LogLevel {
    return this.#options.level;
  }

  isEnabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= this.#rank;
  }

  debug(message: string, fields?: LogFields): void {
    this.#log("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }

  warning(message: string, fields?: LogFields): void {
    this.#log("warning", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  with(fields: LogFields): Logger {
    return new LineLogger(this.#options, { ...this.#fields, ...fields });
  }

  #log(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (!this.isEnabled(level)) return;
    const { style, writer, now } = this.#options;
    const line = { level, message, ms: (now ?? Date.now)(), fields: { ...this.#fields, ...fields } };
    writer.write(renderLine(style, line, (value) => JSON.stringify(value, plain)));
  }
}

/** Errors show their message only: a stack in a log line helps nobody but an attacker. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.message;
  if (typeof value === "bigint") return value.toString();
  return value;
}
