import type { Value } from "../value/index.ts";

/** Static types of Rego (OPA v1/types). `any` with no alternatives is the top type. */
export type Type =
  | { readonly kind: "null" | "boolean" | "number" | "string" }
  | { readonly kind: "array"; readonly static: readonly Type[]; readonly dynamic: Type | undefined }
  | {
      readonly kind: "object";
      readonly static: readonly { readonly key: Value; readonly value: Type }[];
      readonly dynamic: { readonly key: Type; readonly value: Type } | undefined;
    }
  | { readonly kind: "set"; readonly of: Type }
  | { readonly kind: "any"; readonly of: readonly Type[] }
  | FunctionType;

/** A named and described operand or result; only builtins name them. */
export interface NamedType {
  readonly type: Type;
  readonly name?: string;
  readonly about?: string;
}

export interface FunctionType {
  readonly kind: "function";
  readonly args: readonly NamedType[];
  /** Absent: a void function (`print`). */
  readonly result: NamedType | undefined;
  readonly variadic: Type | undefined;
}

/** What the compiler knows of a builtin: its record without the code. */
export interface Signature {
  readonly name: string;
  readonly type: FunctionType;
  readonly infix?: string;
  readonly relation?: boolean;
  readonly deprecated?: boolean;
  readonly nondeterministic?: boolean;
}
