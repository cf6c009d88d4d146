import { describe, expect, test } from "vitest";
import { type Flag, flagsText, parseDuration, parseFlags, UsageError } from "../../src/cli/flags.ts";

const FLAGS: readonly Flag[] = [
  { name: "bool", short: "b", kind: "bool", about: "a bool" },
  { name: "other", short: "o", kind: "bool", about: "another" },
  { name: "text", short: "t", kind: "string", default: "preset", about: "a text" },
  { name: "list", short: "l", kind: "list", about: "a list" },
  { name: "slice", kind: "slice", about: "a slice" },
  { name: "int", kind: "int", default: "1", about: "an int" },
  { name: "enum", short: "e", kind: "enum", values: ["x", "y"], default: "x", about: "an enum" },
  { name: "wait", kind: "duration", about: "a duration" },
  { name: "secret", kind: "bool", about: "not shown", hidden: true },
];

describe("reading as Go's pflag does", () => {
  test("long flags", () => {
    const values = parseFlags(FLAGS, [
      "--bool",
      "--text=a=b",
      "--list",
      "1",
      "--list=2,3",
      "--slice",
      "a,b",
      "--slice=c",
      "--int",
      "-5",
    ]);
    expect(values.bool("bool")).toBe(true);
    expect(values.string("text")).toBe("a=b");
    expect(values.list("list")).toEqual(["1", "2,3"]);
    expect(values.list("slice")).toEqual(["a", "b", "c"]);
    expect(values.int("int")).toBe(-5);
  });

  test("short flags, together and with values", () => {
    const values = parseFlags(FLAGS, ["-bot", "x", "-l1", "-l=2", "-ey", "rest"]);
    expect([values.bool("bool"), values.bool("other"), values.string("text")]).toEqual([true, true, "x"]);
    expect(values.list("list")).toEqual(["1", "2"]);
    expect(values.string("enum")).toBe("y");
    expect(values.positional).toEqual(["rest"]);
  });

  test("defaults, the last value wins, -- ends flags, - is an argument", () => {
    const values = parseFlags(FLAGS, ["--text", "a", "--text", "b", "-", "--", "--bool"]);
    expect(values.string("text")).toBe("b");
    expect(parseFlags(FLAGS, []).string("text")).toBe("preset");
    expect(values.positional).toEqual(["-", "--bool"]);
    expect(values.isSet("bool")).toBe(false);
    expect(parseFlags(FLAGS, ["--bool=false"]).bool("bool")).toBe(false);
  });

  // Texts are those of github.com/spf13/pflag.
  test.for<readonly [readonly string[], string]>([
    [["--nope"], "unknown flag: --nope"],
    [["-bx"], "unknown shorthand flag: 'x' in -bx"],
    [["--text"], "flag needs an argument: --text"],
    [["-t"], "flag needs an argument: 't' in -t"],
    [["--int", "x"], 'invalid argument "x" for "--int" flag: strconv.ParseInt: parsing "x": invalid syntax'],
    [["--enum", "z"], 'invalid argument "z" for "-e, --enum" flag: must be one of {x,y}'],
    [
      ["--bool=maybe"],
      'invalid argument "maybe" for "-b, --bool" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [["--wait", "5"], 'invalid argument "5" for "--wait" flag: time: invalid duration "5"'],
  ])("%j is refused", ([argv, message]) => {
    expect(() => parseFlags(FLAGS, argv)).toThrow(new UsageError(message));
  });
});

test.for<readonly [string, number | undefined]>([
  ["0", 0],
  ["5s", 5000],
  ["1h30m", 5_400_000],
  ["1.5s", 1500],
  ["-250ms", -250],
  [".5ms", 0.5],
  ["1us", 0.001],
  ["", undefined],
  ["5", undefined],
  ["s", undefined],
  ["1d", undefined],
])("duration %s", ([text, want]) => {
  expect(parseDuration(text)).toBe(want);
});

test("help lists flags by name, without hidden ones", () => {
  expect(flagsText(FLAGS)).toBe(`  -b, --bool            a bool
  -e, --enum {x,y}      an enum (default x)
      --int int         an int (default 1)
  -l, --list string     a list
  -o, --other           another
      --slice strings   a slice
  -t, --text string     a text (default preset)
      --wait duration   a duration
`);
});
