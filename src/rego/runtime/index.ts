export { type BuiltinContext, type IoAnswer, type IoRequest, Suspension } from "./context.ts";
export { BuiltinError, EVAL_ERROR_CODES, EvalError, type EvalErrorCode, OperandError } from "./errors.ts";
