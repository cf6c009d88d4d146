import { BuiltinError } from "../runtime/index.ts";
import { compareStrings, quoteGo, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, type Operand, operands, result, types } from "./define.ts";

interface Version {
  readonly numbers: readonly [major: bigint, minor: bigint, patch: bigint];
  readonly preRelease: string;
}

const IDENTIFIERS = /^[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$/;
const INT64 = /^[+-]?\d+$/;

function cut(text: string, separator: string): readonly [before: string, after: string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function toInt64(text: string | undefined): bigint | undefined {
  if (text === undefined || !INT64.test(text)) return undefined;
  const n = BigInt(text.replace(/^\+/, ""));
  return n === BigInt.asIntN(64, n) ? n : undefined;
}

/** Laxer than semver.org: a leading `v`, leading zeros and signs are let through. @source OPA internal/semver */
function parseVersion(text: string): Version | undefined {
  const [withoutMetadata, metadata] = cut(text.replace(/^v/, ""), "+");
  if (metadata !== "" && !IDENTIFIERS.test(metadata)) return undefined;
  const [core, preRelease] = cut(withoutMetadata, "-");
  if (preRelease !== "" && !IDENTIFIERS.test(preRelease)) return undefined;
  const parts = core.split(".");
  const [major, minor, patch] = parts.map(toInt64);
  if (parts.length !== 3 || major === undefined || minor === undefined || patch === undefined) return undefined;
  return { numbers: [major, minor, patch], preRelease };
}

function compareVersions(a: Version, b: Version): number {
  for (let i = 0; i < 3; i++) {
    const x = a.numbers[i] as bigint;
    const y = b.numbers[i] as bigint;
    if (x !== y) return x < y ? -1 : 1;
  }
  if (a.preRelease === b.preRelease) return 0;
  if (a.preRelease === "" || b.preRelease === "") return a.preRelease === "" ? 1 : -1;
  const x = a.preRelease.split(".");
  const y = b.preRelease.split(".");
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const order = compareIdentifiers(x[i] as string, y[i] as string);
    if (order !== 0) return order;
  }
  return Math.sign(x.length - y.length);
}

/** Numbers come before words, and are compared as such. */
function compareIdentifiers(a: string, b: string): number {
  const numericA = /^\d+$/.test(a);
  const numericB = /^\d+$/.test(b);
  if (numericA !== numericB) return numericA ? -1 : 1;
  if (!numericA) return compareStrings(a, b);
  const x = BigInt(a);
  const y = BigInt(b);
  return x === y ? 0 : x < y ? -1 : 1;
}

function versionOperand(position: number, text: string): Version {
  const version = parseVersion(text);
  if (version === undefined) {
    throw new BuiltinError(`operand ${position}: string ${quoteGo(text)} is not a valid SemVer`);
  }
  return version;
}

const anything: Operand<Value> = operands.any;

export const semverBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "semver.is_valid",
    category: "semver",
    about: "Whether a value is a string that holds a semantic version.",
    args: [arg("vsn", anything, "the value")],
    result: result("result", types.boolean, "whether it is a version"),
    call: (_context, vsn) => typeof vsn === "string" && parseVersion(vsn) !== undefined,
  }),
  defineBuiltin({
    name: "semver.compare",
    category: "semver",
    about: "Compares two semantic versions; build metadata does not count.",
    args: [arg("a", operands.string, "the first version"), arg("b", operands.string, "the second version")],
    result: result("result", types.number, "-1 if `a` is lower, 1 if it is higher, 0 otherwise"),
    call: (_context, a, b) => compareVersions(versionOperand(1, a), versionOperand(2, b)),
  }),
];
