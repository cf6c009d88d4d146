export {
  arg,
  type Builtin,
  defineBuiltin,
  formatTime,
  operands,
  result,
  TEST_CASE_NOTE,
  types,
} from "../builtins/index.ts";
export {
  BuiltinError,
  EvalError,
  type EvalErrorCode,
  type HttpCaching,
  type HttpRequest,
  type HttpResult,
  type HttpTls,
  type IoAnswer,
  type IoRequest,
  OperandError,
  Suspension,
  type Tracer,
} from "../runtime/index.ts";
export {
  allowedBuiltins,
  type Capabilities,
  CapabilitiesError,
  capabilitiesOf,
  readCapabilities,
} from "./capabilities.ts";
export type { Diagnostic, Module } from "../syntax/index.ts";
export { dependenciesOf, type MissingDocument, missingDocuments, type QueryDependencies } from "./dependencies.ts";
export { CompileError, diagnosticsText, explainDiagnostic, formatDiagnostic } from "./errors.ts";
export {
  type CompileOptions,
  languageOf,
  type ModuleText,
  type PolicyPiece,
  type QueryOptions,
} from "./compiled-modules.ts";
export { compileImage, policyOfImage } from "./image.ts";
export { compile, compileInSteps, entrypointText, Policy } from "./policy.ts";
export type { EvaluateOptions, Query, Solution } from "./query.ts";
export { evaluateWithIo, type Io, valueWithIo } from "./suspension.ts";
export { v1Findings } from "./v1.ts";
