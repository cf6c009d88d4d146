/** Bytes of one value that leaves in a header or parameter. */
const MAX_VALUE_CHARS = 65_536;

/**
 * Why a header name must not be sent, or undefined. Envoy takes an authorization server's word as it is, so what a policy
 * copied from a request is checked here: RFC 9110 token characters only, which also excludes `:path` and its like.
 */
export function checkHeaderName(name: string): string | undefined {
  if (name === "") return "has an empty name";
  if (name.length > 1024) return "has a name that is too long";
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) ? undefined : "has a name that is not allowed";
}

/** Why a header value must not be sent, or undefined. */
export function checkHeaderValue(value: string): string | undefined {
  if (value.length > MAX_VALUE_CHARS) return "has a value that is too long";
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return "has a value with a control character";
  }
  return value.isWellFormed() ? undefined : "has a value that is not valid Unicode";
}

/** Text with unpaired surrogates replaced: a strict decoder would refuse the whole message, and a denial would turn into an error. */
export function wellFormed(text: string): string {
  return text.toWellFormed();
}
