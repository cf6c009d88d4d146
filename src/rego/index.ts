/**
 * `cardea/rego`: the Rego engine as a library. Nothing here needs Node; see `cardea/rego/node` for the builtins that do
 * (keys, certificates, tokens).
 */
export {
  type Builtin,
  BuiltinError,
  CompileError,
  type CompileOptions,
  compile,
  type Diagnostic,
  defineBuiltin,
  diagnosticsText,
  type EvaluateOptions,
  EvalError,
  type EvalErrorCode,
  evaluateWithIo,
  explainDiagnostic,
  formatDiagnostic,
  type Io,
  type IoAnswer,
  type IoRequest,
  type Module,
  type ModuleText,
  OperandError,
  Policy,
  type Query,
  type QueryOptions,
  type Solution,
  Suspension,
  type Tracer,
  valueWithIo,
} from "./engine/index.ts";
export { arg, operands, portableBuiltins, result, types } from "./builtins/index.ts";
export {
  parseJson,
  RegoNumber,
  RegoObject,
  RegoSet,
  toJsonText,
  toJsonValue,
  toRegoText,
  type Value,
} from "./value/index.ts";
