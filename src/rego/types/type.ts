import type { Value } from "../value/index.ts";

/**
 * Static types of Rego (OPA v1/types). `any` with no alternatives is the top type.
 * A member that is undefined is not known (yet): it prints as `???`.
 * Made by the constructors of `make.ts`, which keep alternatives and keys in order.
 */
export type Type = ScalarType | ArrayType | ObjectType | SetType | AnyType | FunctionType | RecursiveType;

export interface ScalarType {
  readonly kind: "null" | "boolean" | "number" | "string";
}

export interface ArrayType {
  readonly kind: "array";
  readonly static: readonly (Type | undefined)[];
  /** What elements after the static ones are; absent: there are none. */
  readonly dynamic: Type | undefined;
}

export interface StaticProperty {
  readonly key: Value;
  readonly value: Type | undefined;
}

export interface DynamicProperty {
  readonly key: Type | undefined;
  readonly value: Type | undefined;
}

export interface ObjectType {
  readonly kind: "object";
  /** In the order of their keys. */
  readonly static: readonly StaticProperty[];
  /** Absent: no other keys than the static ones. */
  readonly dynamic: DynamicProperty | undefined;
}

export interface SetType {
  readonly kind: "set";
  readonly of: Type | undefined;
}

export interface AnyType {
  readonly kind: "any";
  /** In the order of `compareTypes`, without duplicates. */
  readonly of: readonly Type[];
}

/** A named and described operand or result; only builtins name them. An empty name is none. */
export interface NamedType {
  readonly type: Type | undefined;
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

/** A JSON schema that refers to itself. Its maker sets `type` once the schema has been read. */
export interface RecursiveType {
  readonly kind: "recursive";
  readonly name: string;
  type: Type | undefined;
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
