import type { LineWriter } from "./line-writer.ts";

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = "json" | "json-pretty" | "text";
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
  readonly format: LogFormat;
  readonly writer: LineWriter;
  /** The wall clock, milliseconds. */
  readonly now?: () => number;
}

/** A logger whose lines are OPA's: JSON with sorted members `level`, `msg`, `time` and the fields. */
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
    const { format, writer, now } = this.#options;
    const time = rfc3339Seconds((now ?? Date.now)());
    const record = { ...this.#fields, ...fields, level, msg: message, time };
    writer.write(format === "text" ? textLine(record) : jsonLine(record, format === "json-pretty"));
  }
}

/** `2026-11-22T09:56:51Z` */
export function rfc3339Seconds(ms: number): string {
  return `${secondText(Math.floor(ms / 1000))}Z`;
}

/** `2026-11-22T09:56:51.042Z` */
export function rfc3339Millis(ms: number): string {
  const second = Math.floor(ms / 1000);
  return `${secondText(second)}.${String(Math.floor(ms) - second * 1000).padStart(3, "0")}Z`;
}

/** The latest second that was asked for: a decision log asks thousands of times for the same. */
let known = { second: Number.NaN, text: "" };

function secondText(second: number): string {
  if (second !== known.second) known = { second, text: new Date(second * 1000).toISOString().slice(0, 19) };
  return known.text;
}

function jsonLine(record: LogFields, isPretty: boolean): string {
  return isPretty ? JSON.stringify(sorted(record), plain, 2) : JSON.stringify(sorted(record), plain);
}

function sorted(record: LogFields): LogFields {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** Errors show their message only: a stack in a log line helps nobody but an attacker. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.message;
  if (typeof value === "bigint") return value.toString();
  return value;
}

function textLine(record: LogFields): string {
  const { level, msg, time, ...rest } = record;
  const fields = Object.entries(sorted(rest)).map(([key, value]) => ` ${key}=${JSON.stringify(value, plain)}`);
  return `time=${JSON.stringify(time)} level=${String(level)} msg=${JSON.stringify(msg)}${fields.join("")}`;
}
