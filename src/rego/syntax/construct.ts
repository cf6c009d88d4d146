import { type Location, Source } from "../../base/index.ts";
import { type NumberValue, parseNumber } from "../value/index.ts";
import type {
  ArrayTerm,
  BooleanTerm,
  CallTerm,
  Expr,
  ExprForm,
  NullTerm,
  NumberTerm,
  ObjectTerm,
  RefTerm,
  ScalarTerm,
  SetTerm,
  StringTerm,
  Term,
  VarTerm,
  With,
} from "./ast.ts";

/** The place of nodes nobody wrote. */
export const NOWHERE: Location = { source: new Source("", ""), row: 0, col: 0, offset: 0, end: 0 };

export function nullTerm(at: Location = NOWHERE): NullTerm {
  return { kind: "null", at };
}

export function booleanTerm(value: boolean, at: Location = NOWHERE): BooleanTerm {
  return { kind: "boolean", value, at };
}

export function numberTerm(value: NumberValue | string, at: Location = NOWHERE): NumberTerm {
  return { kind: "number", value: typeof value === "string" ? parseNumber(value) : value, at };
}

export function stringTerm(value: string, at: Location = NOWHERE): StringTerm {
  return { kind: "string", value, at };
}

export function varTerm(name: string, at: Location = NOWHERE): VarTerm {
  return { kind: "var", name, at };
}

/** `refTerm([varTerm("data"), stringTerm("a")])` is `data.a`. */
export function refTerm(terms: readonly Term[], at: Location = terms[0]?.at ?? NOWHERE): RefTerm {
  return { kind: "ref", terms, at };
}

/** A ref from its words: `refOf("data", "a", "b")` is `data.a.b`. */
export function refOf(head: string, ...path: readonly string[]): RefTerm {
  return refTerm([varTerm(head), ...path.map((word) => stringTerm(word))]);
}

export function arrayTerm(items: readonly Term[], at: Location = NOWHERE): ArrayTerm {
  return { kind: "array", items, at };
}

export function setTerm(items: readonly Term[], at: Location = NOWHERE): SetTerm {
  return { kind: "set", items, at };
}

export function objectTerm(entries: readonly (readonly [Term, Term])[], at: Location = NOWHERE): ObjectTerm {
  return { kind: "object", entries, at };
}

/** The ref that names a builtin function: `time.now_ns` is `time["now_ns"]`, as the parser reads it. */
export function operatorRef(name: string, at: Location = NOWHERE): RefTerm {
  const [head = "", ...path] = name.split(".");
  return refTerm([varTerm(head, at), ...path.map((word) => stringTerm(word, at))], at);
}

export function callTerm(operator: RefTerm | string, args: readonly Term[], at: Location = NOWHERE): CallTerm {
  return { kind: "call", operator: typeof operator === "string" ? operatorRef(operator, at) : operator, args, at };
}

export interface ExprOptions {
  readonly at?: Location;
  readonly negated?: boolean;
  readonly with?: readonly With[];
  readonly index?: number;
  readonly generated?: boolean;
}

/** One literal of a body. A call term becomes a call statement. */
export function expr(form: ExprForm | Term, options: ExprOptions = {}): Expr {
  return {
    form: isTerm(form) ? formOf(form) : form,
    negated: options.negated ?? false,
    with: options.with ?? [],
    index: options.index ?? 0,
    generated: options.generated ?? false,
    at: options.at ?? placeOfForm(form),
  };
}

function placeOfForm(form: ExprForm | Term): Location {
  if ("at" in form) return form.at;
  return form.kind === "call" ? form.operator.at : form.term.at;
}

/** `operator(args…)` as a statement: `callExpr("eq", [x, y])` is `x = y`. */
export function callExpr(operator: RefTerm | string, args: readonly Term[], options: ExprOptions = {}): Expr {
  const at = options.at ?? args[0]?.at ?? NOWHERE;
  const ref = typeof operator === "string" ? operatorRef(operator, at) : operator;
  return expr({ kind: "call", operator: ref, args }, { ...options, at });
}

/** The statement form of a term. */
export function formOf(term: Term): ExprForm {
  return term.kind === "call" ? { kind: "call", operator: term.operator, args: term.args } : { kind: "term", term };
}

function isTerm(x: ExprForm | Term): x is Term {
  switch (x.kind) {
    case "term":
    case "some":
    case "every":
    case "not":
    case "logical":
      return false;
    case "call":
      return "at" in x;
    default:
      return true;
  }
}

/** The builtin or var a ref of plain names spells, such as `count` or `internal.member_2`; undefined for others. */
export function operatorName(operator: RefTerm): string | undefined {
  const [head, ...path] = operator.terms;
  if (head?.kind !== "var") return undefined;
  let name = head.name;
  for (const term of path) {
    if (term.kind !== "string") return undefined;
    name += `.${term.value}`;
  }
  return name;
}

export function isWildcard(term: Term): boolean {
  return term.kind === "var" && term.name.startsWith("$");
}

export function isScalar(term: Term): term is ScalarTerm {
  return term.kind === "string" || term.kind === "number" || term.kind === "boolean" || term.kind === "null";
}
