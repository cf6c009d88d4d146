import { type Location, placeOf } from "../base/index.ts";

/** What can be wrong with a policy file. Errors refuse the whole file set; the last good one keeps serving. */
export const ISTIO_ERROR_CODES = {
  istio_yaml_error:
    "the file is not well-formed YAML, or uses a feature that is refused (aliases, several documents in one value)",
  istio_kind_error: "apiVersion or kind is missing, or the kind is not known in its API group",
  istio_field_error: "a field is unknown, missing, given twice or of the wrong type",
  istio_value_error: "a value is refused by Istio's own validation",
  istio_reference_error: "a name refers to nothing: a Schedule or RateLimit that is not loaded",
  istio_limit_error: "the file set exceeds a limit",
} as const;
export type IstioErrorCode = keyof typeof ISTIO_ERROR_CODES;

export interface IstioDiagnostic {
  readonly code: IstioErrorCode;
  readonly message: string;
  /** `spec.rules[0].to[0].operation.ports[1]`; empty for the document itself. */
  readonly field: string;
  readonly at: Location;
  /** What to write instead, where that is known. */
  readonly hint?: string;
}

/** `file:line: code: field: message`, and the hint on a line of its own. */
export function formatIstioDiagnostic({ code, message, field, at, hint }: IstioDiagnostic): string {
  const where = field === "" ? "" : `${field}: `;
  return `${placeOf(at)}: ${code}: ${where}${message}${hint === undefined ? "" : `\n    ${hint}`}`;
}
