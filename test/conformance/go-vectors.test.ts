import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decodeBase64, encodeHex } from "../../src/base/index.ts";
import { portableBuiltins } from "../../src/rego/builtins/index.ts";
import { renderTemplate, templateData } from "../../src/rego/builtins/template.ts";
import {
  isNumber,
  numberText,
  parseJson,
  quoteGo,
  toJsonText,
  toJsonValue,
  type Value,
} from "../../src/rego/value/index.ts";
import { caller } from "../support/builtin-context.ts";
import { caseFolder } from "../support/cases.ts";

/**
 * What Go's standard library answers, driven through the builtins that re-implement it. Every vector of a section is run;
 * a difference that stays is listed with its reason, and turns red when it is gone.
 */
const KNOWN_DIFFERENCES: ReadonlyMap<string, string> = new Map([
  ['sprintf ["%p",[123456789123456789123]]', "prints the address of the big integer in Go's memory"],
  [
    'time_parse ["2006-01-02T15:04:05.000Z","2020-01-02T15:04:05.12Z"]',
    "the vectors are of Go 1.19, which forgot what it could not parse; opa 1.20.2 answers as we do",
  ],
]);

interface Row {
  readonly [key: string]: Value;
}

const place = caseFolder("go-vectors.json");
const vectors = (place === undefined ? {} : parseJson(readFileSync(place, "utf8"))) as Readonly<
  Record<string, readonly Row[]>
>;
const call = caller(portableBuiltins);

/** A builtin's answer, or its error's message. */
function answer(work: () => Value | undefined): string {
  try {
    const value = work();
    return value === undefined ? "undefined" : isNumber(value) ? numberText(value) : toJsonText(toJsonValue(value));
  } catch (error) {
    return `error: ${(error as Error).message}`;
  }
}

function text(value: Value): string {
  return toJsonText(value);
}

/** Go 1.19 wrote two control characters in full; since 1.22 they are short. */
function currentJson(text119: string): string {
  return text119.replaceAll("\\u0008", "\\b").replaceAll("\\u000c", "\\f");
}

/** For each section: the answers of one row, by name, and what Go said. */
const SECTIONS: Readonly<Record<string, (row: Row) => Readonly<Record<string, readonly [got: string, want: string]>>>> =
  {
    num1: ({ x, ...want }) => {
      const number = numberOf(x);
      return Object.fromEntries(
        Object.entries(want).map(([name, value]) => [
          name,
          [answer(() => call(name, number)), value as string] as const,
        ]),
      );
    },
    num2: ({ a, b, ...want }) => {
      const x = numberOf(a);
      const y = numberOf(b);
      return Object.fromEntries(
        ["plus", "minus", "mul", "div", "rem"].map((name) => {
          const got = answer(() => call(name, x, y));
          return [
            name,
            [
              want[name] === undefined && got.startsWith("error") ? "no answer" : got,
              (want[name] ?? "no answer") as string,
            ],
          ];
        }),
      );
    },
    sprintf: ({ format, args, want }) => ({
      // Go 1.19 saw plain integers as int; OPA hands over int64 now.
      [text([format as Value, args as Value])]: [
        answer(() => call("sprintf", format as Value, args as Value)),
        text((want as string).replace(/\bint=/g, "int64=").replace(/^int$/, "int64")),
      ],
    }),
    parse_float: ({ in: source, error, value }) => {
      const got = answer(() => call("to_number", source as Value));
      const want = error === null ? String(Number(value)) : `error: ${error as string}`;
      return { to_number: [error === null ? String(Number(got)) : got, want] };
    },
    query_escape: ({ in: source, want }) => ({
      "urlquery.encode": [answer(() => call("urlquery.encode", source as Value)), text(want as Value)],
    }),
    query_decode: ({ in: source, unescape: plain, unescape_error, parse, parse_error }) => ({
      "urlquery.decode": [
        answer(() => call("urlquery.decode", source as Value)),
        unescape_error === null ? text(plain ?? "\ufffd") : `error: ${unescape_error as string}`,
      ],
      "urlquery.decode_object": [
        answer(() => call("urlquery.decode_object", source as Value)),
        parse_error === null ? text(parse as Value) : `error: ${parse_error as string}`,
      ],
    }),
    quote: ({ in: source, ...want }) => ({
      quoteGo: [quoteGo(source as string), want["go_quote"] as string],
      "json.marshal": [
        answer(() => call("json.marshal", source as Value)),
        text(currentJson(want["json_marshal_go119"] as string)),
      ],
      lower: [answer(() => call("lower", source as Value)), text(want["lower"] as Value)],
      upper: [answer(() => call("upper", source as Value)), text(want["upper"] as Value)],
      trim_space: [answer(() => call("trim_space", source as Value)), text(want["trim_space"] as Value)],
      "urlquery.encode": [answer(() => call("urlquery.encode", source as Value)), text(want["query_escape"] as Value)],
    }),
    case: ({ in: source, lower, upper }) => ({
      lower: [answer(() => call("lower", source as Value)), text(lower as Value)],
      upper: [answer(() => call("upper", source as Value)), text(upper as Value)],
    }),
    base64_decode: ({ in: source, error, hex }) => ({
      "base64.decode": [
        answer(() =>
          error === null ? encodeHex(decodeBase64(source as string)) : call("base64.decode", source as Value),
        ),
        error === null ? text(hex as Value) : `error: ${error as string}`,
      ],
    }),
    base64url_decode: ({ in: source, error, hex }) => {
      // OPA adds missing padding before it asks Go.
      if (!(source as string).endsWith("=") && (source as string).length % 4 !== 0) return {};
      const got = answer(() => call("base64url.decode", source as Value));
      const bytes = new Uint8Array(((hex as string).match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)));
      return {
        "base64url.decode": [got, error === null ? text(new TextDecoder().decode(bytes)) : `error: ${error as string}`],
      };
    },
    hex_decode: ({ in: source, error }) => {
      const got = answer(() => call("hex.decode", source as Value));
      return {
        "hex.decode": [
          got.startsWith("error") ? got : "decoded",
          error === null ? "decoded" : `error: ${error as string}`,
        ],
      };
    },
    strings: ({ s, sub, count, split, split_n2, replace_dash }) => ({
      "strings.count": [answer(() => call("strings.count", s as Value, sub as Value)), text(count as Value)],
      split: [answer(() => call("split", s as Value, sub as Value)), text(split as Value)],
      // Go's SplitN leaves the rest in the last part; OPA drops it.
      "strings.split_n": [
        answer(() => call("strings.split_n", s as Value, sub as Value, 1)),
        text((split_n2 as readonly Value[]).slice(0, 1)),
      ],
      replace: [answer(() => call("replace", s as Value, sub as Value, "-")), text(replace_dash as Value)],
    }),
    replacer: ({ in: source, pairs, want }) => {
      const list = pairs as readonly string[];
      const patterns = Object.fromEntries(
        list.flatMap((from, i) => (i % 2 === 0 ? [[from, list[i + 1] as string]] : [])),
      );
      // OPA gives the pairs in the order of their keys, whatever order Go was given here.
      const inOrder = list.every((from, i) => i % 2 === 1 || i === 0 || (list[i - 2] as string) < from);
      if (!inOrder) return {};
      return {
        "strings.replace_n": [answer(() => call("strings.replace_n", patterns, source as Value)), text(want as Value)],
      };
    },
    template: ({ template, want, parse_error, exec_error }) => {
      const data = templateData({
        s: "a<b>&\"'",
        n: 5,
        f: 2.5,
        m: { k: "v", a: true, z: null },
        l: ["x", "y", 3],
        t: true,
        z: null,
        e: [],
      });
      const error = parse_error ?? exec_error;
      return {
        render: [
          answer(() => renderTemplate("", template as string, data, () => {})),
          error === undefined ? text(want as Value) : `error: ${error as string}`,
        ],
      };
    },
    regex_compile: ({ in: pattern, error }) => {
      const isValid = answer(() => call("regex.is_valid", pattern as Value));
      // Named groups in Perl's form are legal since Go 1.22, which also renamed what is wrong with look-behind.
      if (/\(\?</.test(pattern as string)) return {};
      const got = answer(() => call("regex.match", pattern as Value, ""));
      return {
        "regex.is_valid": [isValid, String(error === null)],
        "regex.match": [
          got.startsWith("error") ? got : "compiled",
          error === null ? "compiled" : `error: ${error as string}`,
        ],
      };
    },
    regex_find: ({ in: source, re, find_all, split, submatch, replace_lt_0_gt }) => ({
      "regex.find_n": [answer(() => call("regex.find_n", re as Value, source as Value, -1)), text(find_all as Value)],
      "regex.split": [answer(() => call("regex.split", re as Value, source as Value)), text(split as Value)],
      submatch: [
        answer(() => call("regex.find_all_string_submatch_n", re as Value, source as Value, -1)),
        text(submatch as Value),
      ],
      "regex.replace": [
        answer(() => call("regex.replace", source as Value, re as Value, "<$0>")),
        text(replace_lt_0_gt as Value),
      ],
    }),
    regex_expand: ({ in: source, re, template, want }) => ({
      "regex.replace": [
        answer(() => call("regex.replace", source as Value, re as Value, template as Value)),
        text(want as Value),
      ],
    }),
    time_parse: ({ layout, value, error, unix, nsec }) => {
      const got = answer(() => call("time.parse_ns", layout as Value, value as Value));
      if (error !== null) return { [text([layout as Value, value as Value])]: [got, `error: ${error as string}`] };
      const ns = BigInt(unix as number | bigint) * 1_000_000_000n + BigInt(nsec as number);
      const fits = ns >= -9223372036854775808n && ns <= 9223372036854775807n;
      return { "time.parse_ns": [got, fits ? String(ns) : "error: time outside of valid range"] };
    },
    time_format: ({ layout, ns, tz, want }) => ({
      "time.format": [
        answer(() => call("time.format", [numberOf(ns), tz as Value, layout as Value])),
        text(want as Value),
      ],
    }),
    time_add_date: ({ ns, tz, y, m, d, want }) => ({
      "time.add_date": [
        answer(() => call("time.add_date", [numberOf(ns), tz as Value], y as Value, m as Value, d as Value)),
        want as string,
      ],
    }),
    parse_duration_std: ({ in: source, error, ns }) => {
      // Days, weeks and years are OPA's own.
      if (/[dwy]/.test(source as string)) return {};
      return {
        "time.parse_duration_ns": [
          answer(() => call("time.parse_duration_ns", source as Value)),
          error === null ? (ns as string) : `error: ${error as string}`,
        ],
      };
    },
    cidr: ({ in: source, error, net }) => ({
      "net.cidr_is_valid": [answer(() => call("net.cidr_is_valid", source as Value)), String(error === null)],
      ...(error === null && {
        "net.cidr_merge": [answer(() => call("net.cidr_merge", [source as Value])), text([net as Value])] as const,
      }),
    }),
  };

function numberOf(source: Value | undefined): Value {
  return parseJson(source as string);
}

describe.skipIf(place === undefined)("Go's standard library", () => {
  test("every section is run", () => {
    expect(Object.keys(vectors).sort()).toEqual(Object.keys(SECTIONS).sort());
  });

  test.for(Object.entries(SECTIONS))("%s", ([name, run]) => {
    const differences: string[] = [];
    for (const row of vectors[name] ?? []) {
      for (const [what, [got, want]] of Object.entries(run(row))) {
        const isKnown = KNOWN_DIFFERENCES.has(`${name} ${what}`);
        if (got !== want && !isKnown) differences.push(`${what} ${text(row)}: ${got} instead of ${want}`);
        if (got === want && isKnown)
          differences.push(`${what} is right now: take it off the list of known differences`);
      }
    }
    expect(differences).toEqual([]);
  });
});
