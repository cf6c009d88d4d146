import type { Value } from "../rego/value/index.ts";

/** OPA's error codes (v1/server/types). They are in replies that OPA's clients parse. */
export const API_ERROR_CODES = {
  internal_error: "a fault in this server",
  evaluation_error: "evaluation stopped without a result",
  unauthorized: "the authorization policy refused the request, or no valid credentials came with it",
  invalid_parameter: "the path, a parameter or the body of the request is not usable",
  invalid_operation: "the operation conflicts with what is stored",
  resource_not_found: "there is no such resource",
  resource_conflict: "the path crosses a document that is not an object",
  undefined_document: "the document asked for is undefined",
  not_implemented: "OPA has this, this server has not",
} as const;
export type ApiErrorCode = keyof typeof API_ERROR_CODES;

/** A request to the REST API failed. Its JSON form is OPA's. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: ApiErrorCode;
  /** Diagnostics, each in its own JSON form. */
  readonly errors: readonly Value[];

  constructor(status: number, code: ApiErrorCode, message: string, errors: readonly Value[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }

  /** Indented, members in OPA's order, and `<`, `>`, `&` escaped as Go's encoder does. */
  toBody(): string {
    const body = { code: this.code, message: this.message, ...(this.errors.length > 0 && { errors: this.errors }) };
    return `${JSON.stringify(body, null, 2).replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)}\n`;
  }
}
