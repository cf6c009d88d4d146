import type { Attribute } from "./attributes.ts";
import type { Text } from "./fields.ts";
import type { Places } from "./node.ts";

/** Where a document stands, and what it is called. */
export interface Meta {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly places: Places;
  /** Span of the document's first key, for messages about the whole document. */
  readonly start: number;
  readonly end: number;
}

export interface TargetRef {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

/** Which workloads of its namespace a policy is for. Both empty: all. */
export interface Attachment {
  readonly selector: ReadonlyMap<string, string>;
  readonly targetRefs: readonly TargetRef[];
  /** Offset of the selector or targetRefs key. */
  readonly start: number;
  readonly end: number;
}

export type Action = "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";

/** One list of a source, operation or `when` entry: `paths: [..]`, `notPaths: [..]`. */
export interface FieldValues {
  /** Its `when` key, or the field's name without `not`: `request.headers[x]`, `principals`. */
  readonly name: string;
  readonly attribute: Attribute;
  readonly negated: boolean;
  readonly values: readonly Text[];
  /** The key in the file. */
  readonly start: number;
  readonly end: number;
}

/** What a rule asks for, as written or as far as a protocol knows it. */
export interface RuleForm {
  /** Alternatives; empty: any. */
  readonly from: readonly (readonly FieldValues[])[];
  readonly to: readonly (readonly FieldValues[])[];
  readonly when: readonly FieldValues[];
}

export interface PolicyRule extends RuleForm {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

export interface AuthorizationPolicy extends Meta {
  readonly kind: "AuthorizationPolicy";
  readonly attachment: Attachment;
  readonly action: Action;
  readonly dryRun: boolean;
  /** CUSTOM only. */
  readonly provider: string;
  readonly rules: readonly PolicyRule[];
}

export type MtlsMode = "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT";

export interface PeerAuthentication extends Meta {
  readonly kind: "PeerAuthentication";
  readonly selector: ReadonlyMap<string, string>;
  readonly mode: MtlsMode;
  readonly portModes: ReadonlyMap<number, MtlsMode>;
}

export interface JwtHeader {
  readonly name: string;
  /** Empty: the whole value is the token. */
  readonly prefix: string;
}

/** One entry of `jwtRules`. Empty strings and lists mean "not given"; defaults are the identity room's to apply. */
export interface JwtRule {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly jwksUri: string;
  /** Inline key set, as text. */
  readonly jwks: string;
  readonly timeoutMs: number;
  readonly fromHeaders: readonly JwtHeader[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly forwardOriginalToken: boolean;
  readonly outputPayloadToHeader: string;
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: string }[];
  readonly spaceDelimitedClaims: readonly string[];
}

export interface RequestAuthentication extends Meta {
  readonly kind: "RequestAuthentication";
  readonly attachment: Attachment;
  readonly jwtRules: readonly JwtRule[];
}

/** Minutes since midnight; `to` before or equal to `from` crosses midnight, 1440 is the end of the day. */
export interface ScheduleWindow {
  /** 0 is Sunday. */
  readonly days: readonly number[];
  readonly fromMinute: number;
  readonly toMinute: number;
}

export interface ScheduleException {
  /** `2026-12-25` */
  readonly date: string;
  readonly closed: boolean;
  /** For a day that is open at other hours than usual. */
  readonly fromMinute: number;
  readonly toMinute: number;
}

export interface Schedule extends Meta {
  readonly kind: "Schedule";
  readonly timeZone: string;
  readonly windows: readonly ScheduleWindow[];
  readonly exceptions: readonly ScheduleException[];
}

export interface RateLimit extends Meta {
  readonly kind: "RateLimit";
  /** `when` keys whose values make the counter's key. */
  readonly key: readonly string[];
  readonly limit: number;
  readonly perMs: number;
  readonly algorithm: "token-bucket" | "fixed-window";
  readonly onStoreFailure: "allow" | "deny";
}

export type PolicyDocument = AuthorizationPolicy | PeerAuthentication | RequestAuthentication | Schedule | RateLimit;
