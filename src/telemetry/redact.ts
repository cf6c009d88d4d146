/** Schemes of the Authorization header whose credentials are secret as they stand. */
const CREDENTIALS = /\b(Bearer|Basic|Token|DPoP|Negotiate)(\s+)[\w.~+/=-]{6,}/gi;
/** A signed token on its own: three parts in Base64url, of which the first begins like the JSON of a header. */
const TOKEN = /\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g;

/** Takes credentials out of a text that a policy prints, which may be whole headers: logs are read by more people than may act. */
export function redactCredentials(text: string): string {
  return text.replace(CREDENTIALS, "$1$2[redacted]").replace(TOKEN, "[redacted]");
}
