export { type Abi, abi } from "./abi.ts";
export {
  type BuiltinContext,
  type HttpCaching,
  type HttpRequest,
  type HttpResult,
  type HttpTls,
  type IoAnswer,
  type IoRequest,
  Suspension,
} from "./context.ts";
export type { DocumentNode } from "./document.ts";
export {
  BuiltinError,
  EVAL_ERROR_CODES,
  EvalError,
  type EvalErrorCode,
  OperandError,
  operandTypeError,
} from "./errors.ts";
export { type DataPath, Evaluation, type Mock, Session, type SessionOptions, type Tracer } from "./evaluation.ts";
export { candidates, EMPTY_INDEX, type IndexTest, type RuleIndex } from "./rule-index.ts";
