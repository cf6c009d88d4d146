import type { FieldValues } from "./policies.ts";
import { hasTemplate } from "./templates.ts";

/**
 * The lists of one alternative whose every value another list of it excludes: no request has both. Only what is certain
 * is found: a pattern that is part of another, a block in a block.
 *
 * @param lists all that must hold together.
 */
export function contradictions(
  lists: readonly FieldValues[],
): readonly { readonly wanted: FieldValues; readonly excluding: FieldValues }[] {
  const found: { wanted: FieldValues; excluding: FieldValues }[] = [];
  for (const wanted of lists) {
    if (wanted.negated || wanted.values.length === 0) continue;
    const about = JSON.stringify(wanted.attribute);
    for (const excluding of lists) {
      if (!excluding.negated || JSON.stringify(excluding.attribute) !== about) continue;
      const isExcluded = ({ text }: { readonly text: string }): boolean =>
        excluding.values.some((value) => covers(wanted.attribute.kind, value.text, text));
      if (wanted.values.every(isExcluded)) found.push({ wanted, excluding });
    }
  }
  return found;
}

/** Whether whatever matches `inner` matches `outer`. */
function covers(kind: FieldValues["attribute"]["kind"], outer: string, inner: string): boolean {
  if (outer === inner || outer === "*") return true;
  switch (kind) {
    case "sourceIp":
    case "remoteIp":
    case "destinationIp":
      return blockCovers(outer, inner);
    case "host":
      return patternCovers(outer.toLowerCase(), inner.toLowerCase());
    case "path":
      return !hasTemplate(outer) && !hasTemplate(inner) && patternCovers(outer, inner);
    case "method":
    case "principal":
    case "header":
    case "claim":
    case "sni":
      return patternCovers(outer, inner);
    default:
      // Forms of their own: wildcards in the middle, halves, names.
      return false;
  }
}

function patternCovers(outer: string, inner: string): boolean {
  if (inner === "*") return false;
  if (outer.startsWith("*")) return !inner.endsWith("*") && inner.endsWith(outer.slice(1));
  if (outer.endsWith("*")) return !inner.startsWith("*") && inner.startsWith(outer.slice(0, -1));
  return false;
}

/** Of IPv4: a block in a block. */
function blockCovers(outer: string, inner: string): boolean {
  const [a, b] = [ipv4Block(outer), ipv4Block(inner)];
  if (a === undefined || b === undefined || a.bits > b.bits) return false;
  const size = 2 ** (32 - a.bits);
  return Math.floor(a.first / size) === Math.floor(b.first / size);
}

function ipv4Block(text: string): { readonly first: number; readonly bits: number } | undefined {
  const [address = "", bits = "32"] = text.split("/");
  const parts = address.split(".");
  if (parts.length !== 4) return undefined;
  return { first: parts.reduce((sum, part) => sum * 256 + Number(part), 0), bits: Number(bits) };
}
