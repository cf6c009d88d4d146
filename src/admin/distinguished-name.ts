/** Attributes in Go's order with Node's names for them; others are no part of the identity, as in OPA. */
const ATTRIBUTES: readonly (readonly [node: string, shown: string])[] = [
  ["serialNumber", "SERIALNUMBER"],
  ["CN", "CN"],
  ["OU", "OU"],
  ["O", "O"],
  ["postalCode", "POSTALCODE"],
  ["street", "STREET"],
  ["L", "L"],
  ["ST", "ST"],
  ["C", "C"],
];

/**
 * The subject of a certificate as OPA names whoever holds it. Values are escaped (RFC 4514): a common name with a comma in it
 * must not read like two attributes.
 *
 * @source Go crypto/x509/pkix, RDNSequence.String
 */
export function distinguishedName(subject: Readonly<Record<string, string | readonly string[] | undefined>>): string {
  return ATTRIBUTES.flatMap(([name, shown]) => {
    const values = Object.hasOwn(subject, name) ? subject[name] : undefined;
    if (values === undefined) return [];
    return [
      [values]
        .flat()
        .map((value) => `${shown}=${escaped(value)}`)
        .join("+"),
    ];
  }).join(",");
}

function escaped(value: string): string {
  return value.replace(/[,+"\\<>;]|^[ #]| $/g, "\\$&");
}
