import { rfc3339Seconds } from "./rfc3339.ts";

/** How lines of the log look; `text` is made for people. */
export type LogFormat = "json" | "json-pretty" | "text";

/** What all lines of one process have in common. */
export interface LineStyle {
  readonly format: LogFormat;
  /** The time of a line, as text. */
  readonly timestamp: (ms: number) => string;
}

export const PLAIN_LINES: LineStyle = { format: "json", timestamp: rfc3339Seconds };

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly ms: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * One line in OPA's form (internal/logging): JSON with its members in the order of their names, the same indented, or a
 * heading with one member a line and no time.
 *
 * @param toJson  JSON text of a line, or of one member; undefined for what has none.
 */
export function renderLine(style: LineStyle, line: LogLine, toJson: (value: unknown) => string | undefined): string {
  const { level, message, ms, fields } = line;
  if (style.format === "text") return textLine(level, message, fields, toJson);
  const text = toJson(sorted({ ...fields, level, msg: message, time: style.timestamp(ms) })) ?? "";
  return style.format === "json" ? text : indentJson(text);
}

const MEMBER_INDENT = "      ";

function textLine(
  level: string,
  message: string,
  fields: LogLine["fields"],
  toJson: (value: unknown) => string | undefined,
): string {
  let text = `[${level.toUpperCase()}] ${message}\n`;
  for (const [key, value] of Object.entries(sorted(fields))) {
    const shown = memberText(value, toJson);
    if (shown !== undefined) text += `  ${key} =${shown.includes("\n") ? ` |\n${MEMBER_INDENT}` : " "}${shown}\n`;
  }
  return text;
}

/** A text of several lines stands as it is; one that is JSON by itself is shown as such. */
function memberText(value: unknown, toJson: (value: unknown) => string | undefined): string | undefined {
  if (typeof value === "string" && value.includes("\n")) return value.replaceAll("\n", `\n${MEMBER_INDENT}`);
  const json = typeof value === "string" && isJson(value) ? value : toJson(value);
  return json === undefined ? undefined : indentJson(json, MEMBER_INDENT);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function sorted(record: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

const WHITE: ReadonlySet<string> = new Set([" ", "\n", "\r", "\t"]);

/** Indents JSON text without reading its numbers, which may be more exact than ours. */
export function indentJson(json: string, prefix = ""): string {
  let text = "";
  let depth = 0;
  const newLine = (): string => `\n${prefix}${"  ".repeat(depth)}`;
  for (let i = 0; i < json.length; i++) {
    const char = json[i] as string;
    if (char === '"') {
      const end = stringEnd(json, i);
      text += json.slice(i, end);
      i = end - 1;
    } else if (char === "{" || char === "[") {
      let next = i + 1;
      while (next < json.length && WHITE.has(json[next] as string)) next++;
      if (json[next] === "}" || json[next] === "]") {
        text += char + (json[next] as string);
        i = next;
      } else {
        depth++;
        text += char + newLine();
      }
    } else if (char === "}" || char === "]") {
      depth--;
      text += newLine() + char;
    } else if (char === ",") text += char + newLine();
    else if (char === ":") text += ": ";
    else if (!WHITE.has(char)) text += char;
  }
  return text;
}

/** Behind the closing quotation mark. */
function stringEnd(json: string, start: number): number {
  let end = start + 1;
  while (end < json.length && json[end] !== '"') end += json[end] === "\\" ? 2 : 1;
  return end + 1;
}
