import type { Location } from "../../base/index.ts";
import type { NumberValue } from "../value/index.ts";

/**
 * The syntax tree of Rego. Shapes and names follow OPA's (v1/ast), because `opa parse`, `rego.parse_module` and the
 * compiler's rules are worded in them. The parser makes these nodes; later stages make new nodes and never change old ones.
 * Operators are calls: `a + b` is `call(plus, a, b)`; `x in xs` is `call(internal.member_2, x, xs)`; `=` is `eq`, `:=` is `assign`.
 */

export type RegoVersion = "v0" | "v0v1" | "v1";

export interface NullTerm {
  readonly kind: "null";
  readonly at: Location;
}
export interface BooleanTerm {
  readonly kind: "boolean";
  readonly value: boolean;
  readonly at: Location;
}
/** `value` keeps the literal's text. */
export interface NumberTerm {
  readonly kind: "number";
  readonly value: NumberValue;
  readonly at: Location;
}
export interface StringTerm {
  readonly kind: "string";
  readonly value: string;
  readonly raw?: boolean;
  readonly at: Location;
}
/** Wildcards `_` are vars named `$0`, `$1`, … per parse. */
export interface VarTerm {
  readonly kind: "var";
  readonly name: string;
  readonly at: Location;
}
/** `head.a[b]`: `terms[0]` is the head (var, or composite, or call), the rest are the path elements (`.a` is the string "a"). At least one term. */
export interface RefTerm {
  readonly kind: "ref";
  readonly terms: readonly Term[];
  readonly at: Location;
}
export interface ArrayTerm {
  readonly kind: "array";
  readonly items: readonly Term[];
  readonly at: Location;
}
export interface ObjectTerm {
  readonly kind: "object";
  readonly entries: readonly (readonly [Term, Term])[];
  readonly at: Location;
}
export interface SetTerm {
  readonly kind: "set";
  readonly items: readonly Term[];
  readonly at: Location;
}
export interface ArrayComprehension {
  readonly kind: "arraycomprehension";
  readonly term: Term;
  readonly body: Body;
  readonly at: Location;
}
export interface SetComprehension {
  readonly kind: "setcomprehension";
  readonly term: Term;
  readonly body: Body;
  readonly at: Location;
}
export interface ObjectComprehension {
  readonly kind: "objectcomprehension";
  readonly key: Term;
  readonly value: Term;
  readonly body: Body;
  readonly at: Location;
}
/** `operator` is always a ref (`plus` is the ref of one var). */
export interface CallTerm {
  readonly kind: "call";
  readonly operator: RefTerm;
  readonly args: readonly Term[];
  readonly at: Location;
}
/** `$"a {x}"`: literal parts and constants in braces are terms, the others single expressions. */
export interface TemplateString {
  readonly kind: "templatestring";
  readonly parts: readonly (ScalarTerm | Expr)[];
  readonly multiline: boolean;
  readonly at: Location;
}

export type ScalarTerm = NullTerm | BooleanTerm | NumberTerm | StringTerm;
export type Comprehension = ArrayComprehension | SetComprehension | ObjectComprehension;
export type Term =
  | ScalarTerm
  | VarTerm
  | RefTerm
  | ArrayTerm
  | ObjectTerm
  | SetTerm
  | Comprehension
  | CallTerm
  | TemplateString;
export type TermKind = Term["kind"];

export type Body = readonly Expr[];

export interface With {
  readonly target: RefTerm | VarTerm;
  readonly value: Term;
  readonly at: Location;
}

/** One literal of a body. */
export interface Expr {
  readonly form: ExprForm;
  readonly negated: boolean;
  readonly with: readonly With[];
  /** Position in its body, from 0. */
  readonly index: number;
  /** Made by the compiler, not written by anybody. */
  readonly generated: boolean;
  /** Set by the compiler on the `eq` that was a `:=`: its left side never makes its right side safe. */
  readonly fromAssignment?: boolean;
  readonly at: Location;
}

export type ExprForm =
  | { readonly kind: "term"; readonly term: Exclude<Term, CallTerm> }
  /** A call as a statement; `args` may be one longer than the function's arity (the output). */
  | { readonly kind: "call"; readonly operator: RefTerm; readonly args: readonly Term[] }
  /** `some x, y` (vars) or `some k, v in xs` (one call of internal.member_2 or internal.member_3). */
  | { readonly kind: "some"; readonly symbols: readonly Term[]; readonly at: Location }
  | {
      readonly kind: "every";
      readonly key: VarTerm | undefined;
      readonly value: VarTerm;
      readonly domain: Term;
      readonly body: Body;
      readonly at: Location;
    }
  /** Improved negation (`import future.keywords.not`). Old negation is `Expr.negated`. */
  | { readonly kind: "not"; readonly body: Body; readonly explicit: boolean; readonly at: Location }
  /** An operand is explicit when it was written `{ body }`: only such a body may declare variables. */
  | {
      readonly kind: "logical";
      readonly operator: "and" | "or";
      readonly left: Body;
      readonly right: Body;
      readonly explicitLeft?: boolean;
      readonly explicitRight?: boolean;
      readonly at: Location;
    };

export interface Import {
  readonly path: RefTerm;
  readonly alias: string | undefined;
  readonly at: Location;
}

/**
 * `reference` is the whole name as written (`p`, `p.q[x]`); for `p contains k` it excludes the key, for v1 `p[k] := v`
 * it includes it (and `key` is k), for v0 `p[k]` (partial set) it is `p` and `key` is k.
 */
export interface Head {
  readonly reference: RefTerm;
  readonly args: readonly Term[] | undefined;
  readonly key: Term | undefined;
  readonly value: Term | undefined;
  /** Written with `:=`. */
  readonly assign: boolean;
  /** `value` was not written: it is a generated `true`. */
  readonly generatedValue: boolean;
  /** A multi-value rule: `contains`, or v0's `p[k]`. */
  readonly isSet: boolean;
  /** The keywords its declaration was written with. */
  readonly keywords?: readonly ("if" | "contains")[];
  /** OPA's name for a head whose reference is one variable, or that has v0's form `name[key]`. */
  readonly name?: string;
  readonly at: Location;
}

export interface Rule {
  readonly head: Head;
  readonly body: Body;
  /** Nobody wrote a body: `body` is a generated `true`. */
  readonly generatedBody: boolean;
  readonly default: boolean;
  readonly else: Rule | undefined;
  readonly annotations: readonly Annotations[];
  readonly at: Location;
}

export interface Comment {
  readonly text: string;
  readonly at: Location;
}

export interface Package {
  readonly path: RefTerm;
  readonly at: Location;
}

export interface Module {
  /** Name of the source. */
  readonly file: string;
  readonly package: Package;
  readonly imports: readonly Import[];
  readonly rules: readonly Rule[];
  readonly comments: readonly Comment[];
  readonly annotations: readonly Annotations[];
  readonly version: RegoVersion;
}

export type AnnotationScope = "rule" | "document" | "package" | "subpackages";

/** A METADATA block, as far as its keys were given. */
export interface Annotations {
  readonly scope: AnnotationScope;
  readonly title?: string;
  readonly description?: string;
  readonly entrypoint?: boolean;
  readonly organizations?: readonly string[];
  readonly relatedResources?: readonly { readonly ref: string; readonly description?: string }[];
  readonly authors?: readonly { readonly name: string; readonly email?: string }[];
  /** Path of the annotated document, and a schema ref or an inline definition. */
  readonly schemas?: readonly { readonly path: RefTerm; readonly schema?: RefTerm; readonly definition?: unknown }[];
  readonly compile?: { readonly unknowns?: readonly RefTerm[]; readonly maskRule?: RefTerm };
  readonly custom?: Readonly<Record<string, unknown>>;
  readonly labels?: Readonly<Record<string, unknown>>;
  readonly at: Location;
}

/**
 * One finding of parser or compiler. Printed as `file:row: code: message` and, indented, the detail lines.
 * Codes: rego_parse_error, rego_compile_error, rego_type_error, rego_unsafe_var_error, rego_recursion_error.
 */
export interface Diagnostic {
  readonly code:
    | "rego_parse_error"
    | "rego_compile_error"
    | "rego_type_error"
    | "rego_unsafe_var_error"
    | "rego_recursion_error";
  readonly message: string;
  readonly at: Location | undefined;
  readonly details?: readonly string[];
  /** The details as OPA's JSON output has them, where that is not their text. */
  readonly structure?: unknown;
  /** Our own advice, beyond OPA's text. */
  readonly hint?: string;
}
