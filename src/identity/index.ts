export {
  type Authentication,
  type AuthenticateOptions,
  Authenticator,
  type AuthenticatorOptions,
  type Refusal,
} from "./authenticator.ts";
export { type Clock, SYSTEM_CLOCK } from "./clock.ts";
export { type RefusalCode, REFUSALS } from "./errors.ts";
export { DocumentError, type DocumentRequest, type DocumentResponse, type FetchDocument } from "./http-document.ts";
export { type Identity, identityDocument, identityFromEnvoy, tokenErrorDocument } from "./identity.ts";
export type { KeySourceState, KeySourceStatus } from "./key-source.ts";
export type { HeaderChanges } from "./output-headers.ts";
export {
  DEFAULT_SETTINGS,
  type IdentitySettings,
  type Introspection,
  type KeySettings,
  type TokenRule,
} from "./rule.ts";
export type { TokenRequest } from "./token-location.ts";
export { type IdentityConfig, IdentityConfigError, readIdentityConfig } from "./settings.ts";
