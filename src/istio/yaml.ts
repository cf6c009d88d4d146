import { isAlias, isMap, isScalar, isSeq, type ParsedNode, parseDocument } from "yaml";
import { isYamlTooDeep, Source } from "../base/index.ts";
import type { IstioDiagnostic } from "./diagnostic.ts";
import { splitDocuments } from "./heads.ts";
import { Places, type YamlEntry, type YamlNode } from "./node.ts";
import { readQuickYaml } from "./quick-yaml.ts";

export interface YamlDocument {
  readonly root: YamlNode;
  readonly places: Places;
}

/** Reads the documents of a file one after the other; those without content are left out. */
export function* readYaml(file: string, text: string, diagnostics: IstioDiagnostic[]): Generator<YamlDocument> {
  const places = new Places(new Source(file, text));
  for (const [start, end] of splitDocuments(text)) {
    const root = readQuickYaml(text, start, end) ?? readFullYaml(places, start, end, diagnostics);
    if (root === undefined || (root.kind === "scalar" && root.value === null)) continue;
    yield { root, places };
  }
}

/** The full parser: every YAML feature, or a diagnostic. */
export function readFullYaml(
  places: Places,
  start: number,
  end: number,
  diagnostics: IstioDiagnostic[],
): YamlNode | undefined {
  const report = (message: string, from: number, to: number) => {
    const at = places.at({ start: start + from, end: start + to });
    diagnostics.push({ code: "istio_yaml_error", message, field: "", at });
  };
  const text = places.source.text.slice(start, end);
  if (isYamlTooDeep(text)) {
    report("the document is nested too deeply", 0, 0);
    return undefined;
  }
  const document = parseDocument(text, {
    version: "1.2",
    schema: "core",
    prettyErrors: false,
    logLevel: "silent",
  });
  if (document.errors.length > 0) {
    for (const error of document.errors.slice(0, 10)) report(error.message, error.pos[0], error.pos[1]);
    return undefined;
  }
  const before = diagnostics.length;
  const node = convert(document.contents, start, report);
  return diagnostics.length > before ? undefined : node;
}

type Report = (message: string, from: number, to: number) => void;

function convert(node: ParsedNode | null, base: number, report: Report): YamlNode {
  if (node === null) return { kind: "scalar", value: null, text: "", plain: true, start: base, end: base };
  const [from, to] = node.range;
  const span = { start: base + from, end: base + to };
  // Aliases can make a small file a huge document, and no policy needs them.
  if (isAlias(node)) report("aliases are not supported", from, to);
  else if (node.tag !== undefined && !node.tag.startsWith("tag:yaml.org,2002:"))
    report(`tag ${node.tag} is not supported`, from, to);
  else if (isScalar(node)) {
    const { value } = node;
    const plain = node.type === "PLAIN";
    const text = plain ? (node.source ?? "") : String(value);
    if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return { kind: "scalar", value, text, plain, ...span };
    }
    report("only strings, numbers, booleans and null are supported", from, to);
  } else if (isSeq(node)) {
    return { kind: "seq", items: node.items.map((item) => convert(item as ParsedNode, base, report)), ...span };
  } else if (isMap(node)) {
    const entries: YamlEntry[] = [];
    for (const pair of node.items) {
      const key = pair.key as ParsedNode | null;
      if (key === null || !isScalar(key)) {
        report("a key must be a string", from, to);
        continue;
      }
      const [keyFrom, keyTo] = key.range;
      const name = key.type === "PLAIN" ? (key.source ?? "") : String(key.value);
      entries.push({
        key: name,
        value: convert(pair.value as ParsedNode | null, base, report),
        start: base + keyFrom,
        end: base + keyTo,
      });
    }
    return { kind: "map", entries, ...span };
  }
  return { kind: "scalar", value: null, text: "", plain: true, ...span };
}
