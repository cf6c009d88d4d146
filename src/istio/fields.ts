import type { IstioDiagnostic, IstioErrorCode } from "./diagnostic.ts";
import type { Places, YamlEntry, YamlMap, YamlNode } from "./node.ts";

/** A string of a policy file with its place. */
export interface Text {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Words that Kubernetes' YAML (1.1) reads as booleans although YAML 1.2 does not: unquoted, they never reach Istio as strings.
 * @source sigs.k8s.io/yaml, goyaml.v2/resolve.go
 */
const YAML_1_1_BOOLEANS = /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/;

/** Reads the members of one YAML document with the strictness of a file loader: nothing is pruned, everything unknown is an error. */
export class FieldReader {
  readonly places: Places;
  readonly #diagnostics: IstioDiagnostic[];

  constructor(places: Places, diagnostics: IstioDiagnostic[]) {
    this.places = places;
    this.#diagnostics = diagnostics;
  }

  refuse(
    code: IstioErrorCode,
    span: { readonly start: number; readonly end: number },
    field: string,
    message: string,
    hint?: string,
  ): void {
    this.#diagnostics.push({ code, message, field, at: this.places.at(span), ...(hint !== undefined && { hint }) });
  }

  /** The members of a mapping by name. An absent or null node has none. */
  members(
    node: YamlNode | undefined,
    field: string,
    known: readonly string[] | undefined,
  ): ReadonlyMap<string, YamlEntry> {
    const found = new Map<string, YamlEntry>();
    if (node === undefined || isNull(node)) return found;
    if (node.kind !== "map") {
      this.refuse("istio_field_error", node, field, `must be a mapping, not ${describe(node)}`);
      return found;
    }
    for (const entry of node.entries) {
      if (known !== undefined && !known.includes(entry.key)) {
        const near = nearest(entry.key, known);
        const hint = near === undefined ? `known fields: ${known.join(", ")}` : `did you mean ${near}?`;
        this.refuse("istio_field_error", entry, join(field, entry.key), "unknown field", hint);
      } else found.set(entry.key, entry);
    }
    return found;
  }

  map(node: YamlNode | undefined, field: string): YamlMap | undefined {
    if (node === undefined || isNull(node)) return undefined;
    if (node.kind === "map") return node;
    this.refuse("istio_field_error", node, field, `must be a mapping, not ${describe(node)}`);
    return undefined;
  }

  /** The items of a list; undefined where it is absent or null. */
  list(node: YamlNode | undefined, field: string): readonly YamlNode[] | undefined {
    if (node === undefined || isNull(node)) return undefined;
    if (node.kind === "seq") return node.items;
    this.refuse(
      "istio_field_error",
      node,
      field,
      `must be a list, not ${describe(node)}`,
      node.kind === "scalar" ? `write [${quote(node.text)}]` : undefined,
    );
    return undefined;
  }

  string(node: YamlNode | undefined, field: string): Text | undefined {
    if (node === undefined || isNull(node)) return undefined;
    if (node.kind === "scalar" && typeof node.value === "string") {
      if (!node.plain || !YAML_1_1_BOOLEANS.test(node.value))
        return { text: node.value, start: node.start, end: node.end };
      this.refuse(
        "istio_field_error",
        node,
        field,
        `must be a string; Kubernetes reads ${node.text} without quotes as a boolean`,
        `write ${quote(node.text)}`,
      );
      return undefined;
    }
    const hint = node.kind === "scalar" ? `write ${quote(node.text)}` : undefined;
    this.refuse("istio_field_error", node, field, `must be a string, not ${describe(node)}`, hint);
    return undefined;
  }

  /** A list of strings without empty ones; undefined where it is absent. */
  strings(node: YamlNode | undefined, field: string): readonly Text[] | undefined {
    const items = this.list(node, field);
    if (items === undefined) return undefined;
    const texts: Text[] = [];
    items.forEach((item, i) => {
      if (isNull(item)) this.refuse("istio_field_error", item, `${field}[${i}]`, "must be a string, not null");
      const text = this.string(item, `${field}[${i}]`);
      if (text === undefined) return;
      if (text.text === "")
        this.refuse("istio_value_error", text, `${field}[${i}]`, "must not be empty", 'to match any value, write "*"');
      else texts.push(text);
    });
    return texts;
  }

  boolean(node: YamlNode | undefined, field: string): boolean | undefined {
    if (node === undefined || isNull(node)) return undefined;
    if (node.kind === "scalar" && typeof node.value === "boolean") return node.value;
    this.refuse("istio_field_error", node, field, `must be true or false, not ${describe(node)}`);
    return undefined;
  }

  integer(node: YamlNode | undefined, field: string): number | undefined {
    if (node === undefined || isNull(node)) return undefined;
    if (node.kind === "scalar" && typeof node.value === "number" && Number.isSafeInteger(node.value)) return node.value;
    this.refuse("istio_field_error", node, field, `must be an integer, not ${describe(node)}`);
    return undefined;
  }

  oneOf<T extends string>(node: YamlNode | undefined, field: string, allowed: readonly T[]): T | undefined {
    const text = this.string(node, field);
    if (text === undefined) return undefined;
    if ((allowed as readonly string[]).includes(text.text)) return text.text as T;
    this.refuse("istio_value_error", text, field, `must be one of ${allowed.join(", ")}, not ${quote(text.text)}`);
    return undefined;
  }
}

export function isNull(node: YamlNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

export function join(field: string, name: string): string {
  return field === "" ? name : `${field}.${name}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function describe(node: YamlNode): string {
  if (node.kind === "map") return "a mapping";
  if (node.kind === "seq") return "a list";
  if (node.value === null) return "null";
  return typeof node.value === "string" ? `the string ${quote(node.value)}` : `the ${typeof node.value} ${node.text}`;
}

/** The known name a misspelt one was probably meant to be: at most two edits away, or equal but for case. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const lower = name.toLowerCase();
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of known) {
    const distance = editDistance(lower, candidate.toLowerCase());
    if (distance < bestDistance && distance < candidate.length) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2 || a.length > 64) return 3;
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] as number) + 1, (current[j - 1] as number) + 1));
    }
    previous = current;
  }
  return previous[b.length] as number;
}
