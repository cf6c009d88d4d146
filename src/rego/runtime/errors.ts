import type { Location } from "../../base/index.ts";
import { placeOf } from "../../base/index.ts";
import { type TypeName, typeName, type Value } from "../value/index.ts";

/**
 * Why evaluation stopped. The codes are OPA's (v1/topdown/errors.go) because
 * they appear in decision logs and `/v1/data` replies that OPA clients parse.
 */
export const EVAL_ERROR_CODES = {
  eval_conflict_error: "two rules gave one document different values",
  eval_type_error: "an operand had the wrong type",
  eval_builtin_error: "a built-in refused its input or failed at run time",
  eval_with_merge_error: "a `with` value could not be merged into its target",
  eval_cancel_error: "the deadline passed, a budget ran out, or the caller went away",
  eval_internal_error: "a variable had no value where one is needed, or a fault in this engine",
} as const;
export type EvalErrorCode = keyof typeof EVAL_ERROR_CODES;

/** Evaluation stopped without a result. An undefined document is not an error. */
export class EvalError extends Error {
  override readonly name = "EvalError";
  readonly code: EvalErrorCode;
  /** Where in the policy, when known. */
  readonly location: Location | undefined;

  constructor(code: EvalErrorCode, message: string, location?: Location, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.location = location;
  }

  /** OPA's rendering: `file:row: code: message`. */
  override toString(): string {
    const place = this.location === undefined ? "" : `${placeOf(this.location)}: `;
    return `${place}${this.code}: ${this.message}`;
  }
}

/**
 * A builtin refused its input. Thrown by builtins without their name; the caller adds name and place.
 * In default mode the call is then undefined; with strict builtin errors the evaluation fails.
 */
export class BuiltinError extends Error {
  override readonly name: string = "BuiltinError";
  readonly code: "eval_type_error" | "eval_builtin_error" = "eval_builtin_error";
}

/** A builtin got an operand of the wrong type or form: `operand 2 must be string but got number`. */
export class OperandError extends BuiltinError {
  override readonly name = "OperandError";
  override readonly code = "eval_type_error";

  /** @param position 1-based; @param detail what follows `operand N `. */
  constructor(position: number, detail: string) {
    super(`operand ${position} ${detail}`);
  }
}

/** OPA's wording of a failed operand check. @param position 1-based */
export function operandTypeError(position: number, accepts: readonly TypeName[], got: Value): OperandError {
  const want = accepts.length === 1 ? accepts[0] : `one of {${accepts.join(", ")}}`;
  return new OperandError(position, `must be ${want} but got ${typeName(got)}`);
}
