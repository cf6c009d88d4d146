export { type ApplyingPolicy, applyingPolicies, type Destination, toDestination } from "./applying.ts";
export { type IstioDecision, type IstioReason, type IstioRuleName, toIstioDecision } from "./decision.ts";
export { formatIstioDiagnostic, ISTIO_ERROR_CODES, type IstioDiagnostic, type IstioErrorCode } from "./diagnostic.ts";
export { EXPLAINER, EXPLAINER_FILE } from "./explainer-rego.ts";
export { explanationText, type IstioExplanation, type Lack, toIstioExplanation } from "./explain.ts";
export { type ExportedRego, exportRego } from "./export.ts";
export { ISTIO_LINTS, type IstioLint, type IstioLintCode, type LintOptions, lintPolicies } from "./lint.ts";
export { holdsPolicies } from "./heads.ts";
export type {
  AuthorizationPolicy,
  JwtRule,
  PeerAuthentication,
  PolicyDocument,
  RateLimit,
  RequestAuthentication,
  Schedule,
} from "./policies.ts";
export {
  type CompileIstioOptions,
  compileIstio,
  compileIstioInSteps,
  DECISION_PATH,
  DESTINATION_PATH,
  EXPLANATION_PATH,
  IstioPolicyError,
  type IstioProgram,
  TABLES_PATH,
} from "./program.ts";
export {
  DEFAULT_READ_LIMITS,
  type ForeignDocument,
  type PolicySet,
  type PolicyText,
  type ReadLimits,
  readPolicies,
} from "./read.ts";
export {
  DEFAULT_MESH,
  type DefaultWorkload,
  type MeshSettings,
  type PathNormalization,
  type WorkloadSettings,
} from "./settings.ts";
export { namespacesFor, type TokenDocument, TokenRules, type Workload, workloadOf } from "./token-rules.ts";
