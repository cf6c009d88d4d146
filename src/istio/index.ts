export { type IstioDecision, type IstioReason, type IstioRuleName, toIstioDecision } from "./decision.ts";
export { formatIstioDiagnostic, ISTIO_ERROR_CODES, type IstioDiagnostic, type IstioErrorCode } from "./diagnostic.ts";
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
  DECISION_PATH,
  IstioPolicyError,
  type IstioProgram,
  TABLES_PATH,
} from "./program.ts";
export { DEFAULT_READ_LIMITS, type ForeignDocument, holdsPolicies, type PolicyText, type ReadLimits } from "./read.ts";
export {
  DEFAULT_MESH,
  type DefaultWorkload,
  type MeshSettings,
  type PathNormalization,
  type WorkloadSettings,
} from "./settings.ts";
