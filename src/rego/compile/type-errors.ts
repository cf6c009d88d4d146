import type { Location } from "../../base/index.ts";
import { type Diagnostic, type RefTerm, type Term, termToJson } from "../syntax/index.ts";
import {
  argsText,
  describeType,
  type FunctionType,
  isUnknown,
  type NamedType,
  type Type,
  typeText,
} from "../types/index.ts";
import { toRegoText, type Value } from "../value/index.ts";
import { refText, termText } from "./text.ts";

/** A finding of the type checker. */
export interface TypeDiagnostic extends Diagnostic {
  /** It says no more than that something is unknown: a finding about a part of the same expression says why. */
  readonly unknownCause: boolean;
}

export function typeError(
  at: Location | undefined,
  message: string,
  more: { readonly details?: readonly string[]; readonly structure?: unknown; readonly unknownCause?: boolean } = {},
): TypeDiagnostic {
  return { code: "rego_type_error", message, at, unknownCause: false, ...more };
}

/** `count: arity mismatch`. */
export function arityError(
  at: Location,
  name: string,
  have: readonly (Type | undefined)[],
  { args, variadic }: Pick<FunctionType, "args" | "variadic">,
): TypeDiagnostic {
  return argumentError(at, `${name}: arity mismatch`, have, args, variadic);
}

/** `count: invalid argument(s)`. The result comes last among what is wanted: it may be an output operand. */
export function callError(
  at: Location,
  name: string,
  problem: "invalid argument(s)" | "too few arguments" | "too many arguments",
  have: readonly (Type | undefined)[],
  { args, result, variadic }: FunctionType,
): TypeDiagnostic {
  return argumentError(at, `${name}: ${problem}`, have, result === undefined ? args : [...args, result], variadic);
}

function argumentError(
  at: Location,
  message: string,
  have: readonly (Type | undefined)[],
  want: readonly NamedType[],
  variadic: Type | undefined,
): TypeDiagnostic {
  return typeError(at, message, {
    details: [`have: ${argsText(have.map((type) => ({ type })))}`, `want: ${argsText(want, variadic)}`],
    structure: {
      have: have.map((type) => describeType({ type })),
      want: {
        ...(want.length > 0 && { args: want.map(describeType) }),
        ...(variadic !== undefined && { variadic: describeType({ type: variadic }) }),
      },
    },
    unknownCause: have.some((type) => isUnknown(type)),
  });
}

export function matchError(at: Location, left: Type | undefined, right: Type | undefined): TypeDiagnostic {
  return typeError(at, "match error", {
    details: [`left  : ${typeText(left)}`, `right : ${typeText(right)}`],
    structure: { a: describeType({ type: left }), b: describeType({ type: right }) },
    unknownCause: isUnknown(left) || isUnknown(right),
  });
}

/** The element at `position` cannot be looked up in what the ref is before it. */
export function invalidRefError(
  ref: RefTerm,
  shown: readonly Term[],
  position: number,
  have: Type | undefined,
  want: Type | undefined,
  oneOf: readonly Value[],
): TypeDiagnostic {
  const pad = " ".repeat([...refText({ terms: shown.slice(0, position) })].length + 1);
  const details = [
    refText({ terms: shown }),
    `${pad}^`,
    have === undefined ? `${pad}have: ${termText(shown[position] as Term)}` : `${pad}have (type): ${typeText(have)}`,
    oneOf.length > 0
      ? `${pad}want (one of): [${oneOf.map(toRegoText).join(" ")}]`
      : `${pad}want (type): ${goTypeText(want)}`,
  ];
  const structure = {
    ref: shown.map(termToJson),
    pos: position,
    ...(have !== undefined && { have: describeType({ type: have }) }),
    want: describeType({ type: want }),
    oneOf: oneOf.length > 0 ? oneOf : null,
  };
  return typeError((ref.terms[0] as Term).at, `undefined ref: ${refText({ terms: shown })}`, { details, structure });
}

/** What the ref is up to `position` has no members at all. */
export function unsupportedRefError(
  ref: RefTerm,
  shown: readonly Term[],
  position: number,
  have: Type | undefined,
): TypeDiagnostic {
  const details = [
    refText({ terms: shown }),
    "^".repeat([...refText({ terms: shown.slice(0, position + 1) })].length),
    `have: ${goTypeText(have)}`,
  ];
  const structure = { ref: shown.map(termToJson), pos: position, have: describeType({ type: have }) };
  const { at } = ref.terms[0] as Term;
  if (have?.kind !== "function")
    return typeError(at, `undefined ref: ${refText({ terms: shown })}`, { details, structure });
  // `x in f` reads f at a variable nobody wrote.
  const last = shown.at(-1);
  const isGenerated = last?.kind === "var" && /__local\d+__/.test(last.name);
  const name = refText({ terms: isGenerated ? shown.slice(0, -1) : shown });
  return typeError(at, `function ${name} used as reference, not called`, { details, structure });
}

/** Go prints a nil interface as `<nil>`. */
function goTypeText(type: Type | undefined): string {
  return type === undefined ? "<nil>" : typeText(type);
}
