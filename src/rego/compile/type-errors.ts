import type { Location } from "../../base/index.ts";
import type { Diagnostic, RefTerm, Term } from "../syntax/index.ts";
import { argsText, callText, type FunctionType, isUnknown, type Type, typeText } from "../types/index.ts";
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
  details?: readonly string[],
  unknownCause = false,
): TypeDiagnostic {
  return { code: "rego_type_error", message, at, ...(details !== undefined && { details }), unknownCause };
}

/** `count: invalid argument(s)`. @param want with the result as last, where it may be an output operand */
export function argumentError(
  at: Location,
  name: string,
  problem: string,
  have: readonly (Type | undefined)[],
  want: string,
): TypeDiagnostic {
  return typeError(
    at,
    `${name}: ${problem}`,
    [`have: ${argsText(have.map((type) => ({ type })))}`, `want: ${want}`],
    have.some((type) => isUnknown(type)),
  );
}

export function callError(
  at: Location,
  name: string,
  problem: string,
  have: readonly (Type | undefined)[],
  want: FunctionType,
): TypeDiagnostic {
  return argumentError(at, name, problem, have, callText(want));
}

export function matchError(at: Location, left: Type | undefined, right: Type | undefined): TypeDiagnostic {
  return typeError(
    at,
    "match error",
    [`left  : ${typeText(left)}`, `right : ${typeText(right)}`],
    isUnknown(left) || isUnknown(right),
  );
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
  return typeError((ref.terms[0] as Term).at, `undefined ref: ${refText({ terms: shown })}`, [
    refText({ terms: shown }),
    `${pad}^`,
    have === undefined ? `${pad}have: ${termText(shown[position] as Term)}` : `${pad}have (type): ${typeText(have)}`,
    oneOf.length > 0
      ? `${pad}want (one of): [${oneOf.map(toRegoText).join(" ")}]`
      : `${pad}want (type): ${goTypeText(want)}`,
  ]);
}

/** What the ref is up to `position` has no members at all. */
export function unsupportedRefError(
  ref: RefTerm,
  shown: readonly Term[],
  position: number,
  have: Type | undefined,
): TypeDiagnostic {
  const last = ref.terms.at(-1) as Term;
  const details = [
    refText({ terms: shown }),
    "^".repeat([...refText({ terms: shown.slice(0, position + 1) })].length),
    `have: ${goTypeText(have)}`,
  ];
  const { at } = ref.terms[0] as Term;
  if (have?.kind !== "function") return typeError(at, `undefined ref: ${refText({ terms: shown })}`, details);
  // `x in f` reads f at a variable nobody wrote.
  const name = last.kind === "var" && ref.terms.length > 1 ? shown.slice(0, -1) : shown;
  return typeError(at, `function ${refText({ terms: name })} used as reference, not called`, details);
}

/** Go prints a nil interface as `<nil>`. */
function goTypeText(type: Type | undefined): string {
  return type === undefined ? "<nil>" : typeText(type);
}
