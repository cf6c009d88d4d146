/**
 * The URIs of a certificate's subject alternative names, from Node's text form of the extension. There, a name that holds
 * a comma or a quote is written as a JSON string (CVE-2021-44532); cutting at commas would let it pose as several names.
 *
 * @returns undefined when the text cannot be read for sure.
 */
export function uriNames(subjectAltName: string): readonly string[] | undefined {
  const uris: string[] = [];
  let at = 0;
  while (at < subjectAltName.length) {
    const colon = subjectAltName.indexOf(":", at);
    if (colon === -1) return undefined;
    const kind = subjectAltName.slice(at, colon);
    const value = valueAt(subjectAltName, colon + 1);
    if (value === undefined) return undefined;
    if (kind === "URI") uris.push(value.text);
    if (value.end < subjectAltName.length && !subjectAltName.startsWith(", ", value.end)) return undefined;
    at = value.end + 2;
  }
  return uris;
}

function valueAt(text: string, start: number): { readonly text: string; readonly end: number } | undefined {
  if (text[start] !== '"') {
    const comma = text.indexOf(", ", start);
    const end = comma === -1 ? text.length : comma;
    return { text: text.slice(start, end), end };
  }
  for (let end = start + 1; end < text.length; end++) {
    if (text[end] === "\\") end++;
    else if (text[end] === '"') {
      try {
        return { text: JSON.parse(text.slice(start, end + 1)) as string, end: end + 1 };
      } catch {
        return undefined;
      }
    }
  }
  return undefined;
}

/**
 * The SPIFFE ID a certificate states. An SVID has exactly one URI (X.509-SVID section 2): one with several names nobody.
 */
export function spiffeId(subjectAltName: string): string | undefined {
  const uris = uriNames(subjectAltName);
  const [only] = uris ?? [];
  return uris?.length === 1 && only?.startsWith("spiffe://") === true ? only : undefined;
}
