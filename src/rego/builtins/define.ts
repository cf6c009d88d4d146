import { type BuiltinContext, operandTypeError } from "../runtime/index.ts";
import {
  ANY,
  anyOf,
  type ArrayType,
  arrayType,
  BOOLEAN,
  type NamedType,
  NULL,
  NUMBER,
  type ObjectType,
  objectType,
  STRING,
  type SetType,
  type Signature,
  setType,
  type Type,
} from "../types/index.ts";
import {
  type NumberValue,
  type ObjectValue,
  type RegoSet,
  type TypeName,
  typeName,
  type Value,
} from "../value/index.ts";

export { operandTypeError };

/**
 * What an operand may be: its declared type (for the type checker, docs and capabilities.json) and the run-time types it
 * accepts, in the order OPA's message names them. Nothing accepted by name means anything goes: the builtin checks itself.
 */
export interface Operand<T extends Value = Value> {
  readonly type: Type;
  readonly accepts: readonly TypeName[];
  /** Carries T for inference; never set. */
  readonly holds?: T;
}

export interface Arg<T extends Value = Value> {
  readonly name: string;
  readonly operand: Operand<T>;
  readonly about: string;
}

type Values<A extends readonly Arg[]> = { [K in keyof A]: A[K] extends Arg<infer T> ? T : never };

/** One builtin. The type checker, the operand checks, docs/builtins.md and capabilities.json all read this record. */
export interface Builtin {
  readonly name: string;
  readonly category: string;
  readonly about: string;
  readonly args: readonly Arg[];
  /** Absent for void functions. */
  readonly result: NamedType | undefined;
  readonly infix?: string;
  readonly variadic?: Type;
  readonly relation?: boolean;
  readonly deprecated?: boolean;
  readonly nondeterministic?: boolean;
  /**
   * Operands have passed `accepts`. Undefined: no result, and no error either. A relation returns all its results as an array.
   * @throws {BuiltinError} without the builtin's name, which the caller adds.
   */
  readonly call: (context: BuiltinContext, ...operands: readonly Value[]) => Value | undefined;
}

interface Definition<A extends readonly Arg[]> {
  readonly name: string;
  /** OPA's category: aggregates, array, bits, … */
  readonly category: string;
  /** One sentence for docs/builtins.md, in our words. */
  readonly about: string;
  readonly args: A;
  /** `result(name, type, about)`; absent for void functions. */
  readonly result?: NamedType;
  readonly infix?: string;
  readonly variadic?: Type;
  readonly relation?: boolean;
  readonly deprecated?: boolean;
  readonly nondeterministic?: boolean;
  readonly call: (context: BuiltinContext, ...operands: Values<A>) => Value | undefined;
}

export function defineBuiltin<const A extends readonly Arg[]>(definition: Definition<A>): Builtin {
  return { ...definition, result: definition.result, call: definition.call as unknown as Builtin["call"] };
}

export function arg<T extends Value>(name: string, operand: Operand<T>, about: string): Arg<T> {
  return { name, operand, about };
}

export function result(name: string, operand: Operand | Type, about: string): NamedType {
  return { name, type: "accepts" in operand ? operand.type : operand, about };
}

export const types = {
  any: ANY as Type,
  null: NULL as Type,
  boolean: BOOLEAN as Type,
  number: NUMBER as Type,
  string: STRING as Type,
  array: (dynamic: Type = ANY): ArrayType => arrayType([], dynamic),
  tuple: (...members: readonly Type[]): Type => arrayType(members),
  set: (of: Type = ANY): SetType => setType(of),
  object: (key: Type = ANY, value: Type = ANY): ObjectType => objectType([], { key, value }),
  record: (members: Readonly<Record<string, Type>>): ObjectType =>
    objectType(Object.entries(members).map(([key, value]) => ({ key, value }))),
  oneOf: (...of: readonly Type[]): Type => anyOf(of),
};

function operand<T extends Value>(type: Type, ...accepts: readonly TypeName[]): Operand<T> {
  return { type, accepts };
}

/** The operands most builtins take. */
export const operands = {
  any: operand<Value>(ANY),
  string: operand<string>(types.string, "string"),
  number: operand<NumberValue>(types.number, "number"),
  boolean: operand<boolean>(types.boolean, "boolean"),
  array: operand<readonly Value[]>(types.array(), "array"),
  object: operand<ObjectValue>(types.object(), "object"),
  set: operand<RegoSet>(types.set(), "set"),
  /** Another declared type than the run-time check implies; `accepts` in OPA's message order. */
  of: operand,
};

/** Calls a builtin with its operand checks: what generated code does inline. */
export function callBuiltin(builtin: Builtin, context: BuiltinContext, ...values: readonly Value[]): Value | undefined {
  builtin.args.forEach(({ operand: { accepts } }, i) => {
    const value = values[i] as Value;
    if (accepts.length > 0 && !accepts.includes(typeName(value))) throw operandTypeError(i + 1, accepts, value);
  });
  return builtin.call(context, ...values);
}

/** The compiler's view of a builtin. */
export function signatureOf(builtin: Builtin): Signature {
  return {
    name: builtin.name,
    type: {
      kind: "function",
      args: builtin.args.map(({ name, operand: { type }, about }) => ({ name, type, about })),
      result: builtin.result,
      variadic: builtin.variadic,
    },
    ...(builtin.infix !== undefined && { infix: builtin.infix }),
    ...(builtin.relation === true && { relation: true }),
    ...(builtin.deprecated === true && { deprecated: true }),
    ...(builtin.nondeterministic === true && { nondeterministic: true }),
  };
}
