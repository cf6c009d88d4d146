import { daysInMonth } from "../../base/index.ts";

/** What a plain YAML 1.1 scalar denotes, as go-yaml v2 resolves it. Timestamps stay text. */
export type ScalarKind = "str" | "bool" | "null" | "int" | "float" | "timestamp";

export interface ResolvedScalar {
  readonly kind: ScalarKind;
  readonly value: string | boolean | null | bigint | number;
}

const WORDS: ReadonlyMap<string, ResolvedScalar> = new Map(
  [
    { kind: "bool", value: true, words: ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] },
    { kind: "bool", value: false, words: ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] },
    { kind: "null", value: null, words: ["", "~", "null", "Null", "NULL"] },
    { kind: "float", value: Number.NaN, words: [".nan", ".NaN", ".NAN"] },
    { kind: "float", value: Number.POSITIVE_INFINITY, words: [".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"] },
    { kind: "float", value: Number.NEGATIVE_INFINITY, words: ["-.inf", "-.Inf", "-.INF"] },
  ].flatMap(({ kind, value, words }) => words.map((word) => [word, { kind, value } as ResolvedScalar] as const)),
);

const DECIMAL_FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const MAX_UINT64 = 0xffffffffffffffffn;

/** @source go-yaml v2 resolve.go */
export function resolveScalar(text: string): ResolvedScalar {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  const first = text.charAt(0);
  if (first === ".") {
    const float = DECIMAL_FLOAT.test(text) ? Number(text) : Number.NaN;
    if (Number.isFinite(float)) return { kind: "float", value: float };
  } else if (/[-+0-9]/.test(first)) {
    if (isTimestamp(text)) return { kind: "timestamp", value: text };
    const plain = text.replaceAll("_", "");
    const integer = parseInteger(plain);
    if (integer !== undefined) return { kind: "int", value: integer };
    const float = DECIMAL_FLOAT.test(plain) ? Number(plain) : Number.NaN;
    if (Number.isFinite(float)) return { kind: "float", value: float };
  }
  return { kind: "str", value: text };
}

/** `strconv.ParseInt(s, 0, 64)`, or `ParseUint` of what is greater. */
function parseInteger(text: string): bigint | undefined {
  const match = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)|(0[0-7]*)|([1-9][0-9]*))$/.exec(text);
  if (match === null) return undefined;
  const [, sign, hexadecimal, octal, binary, zeroLed, decimal] = match;
  const magnitude =
    hexadecimal !== undefined
      ? BigInt(`0x${hexadecimal}`)
      : binary !== undefined
        ? BigInt(`0b${binary}`)
        : decimal !== undefined
          ? BigInt(decimal)
          : BigInt(`0o${octal ?? zeroLed}`);
  if (sign === "-") return magnitude <= 1n << 63n ? -magnitude : undefined;
  return magnitude <= (sign === "+" ? (1n << 63n) - 1n : MAX_UINT64) ? magnitude : undefined;
}

/** Whether text would be read as a point in time, and so has to be quoted. */
function isTimestamp(text: string): boolean {
  const match =
    /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?:Z|[-+]\d{2}:\d{2})| (\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?)?$/.exec(
      text,
    );
  if (match === null) return false;
  const [year, month, day] = match.slice(1, 4).map(Number) as [number, number, number];
  const [hour, minute, second] = (match[4] === undefined ? match.slice(7, 10) : match.slice(4, 7)).map((part) =>
    Number(part ?? "0"),
  ) as [number, number, number];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return false;
  return hour < 24 && minute < 60 && second < 60;
}
