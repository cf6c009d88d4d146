import type { Loaded } from "../policy/index.ts";
import type { Module, Policy } from "../rego/engine/index.ts";
import {
  type Annotations,
  compareTerms,
  isGroundTerm,
  isScalar,
  moduleToJson,
  operatorName,
  type Rule,
  termToJson,
  termToText,
  visit,
} from "../rego/syntax/index.ts";
import { getKey, isArray, isObject, type JsonObject, type Value } from "../rego/value/index.ts";
import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { failureText, locationDocument } from "./failure.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";
import { type Document, jsonText, prettyJson, sorted, tableText, withSortedMaps } from "./output.ts";
import { ownCapabilities } from "./own-capabilities.ts";
import {
  compileModules,
  extensionsFor,
  parseModules,
  type PolicySettings,
  VERSION_FLAGS,
  versionOf,
} from "./program.ts";
import type { Terminal } from "./terminal.ts";
import { FORMAT_FLAG } from "./usual-flags.ts";

const FLAGS: readonly Flag[] = [
  ...VERSION_FLAGS,
  { name: "annotations", short: "a", kind: "bool", about: "list annotations" },
  FORMAT_FLAG,
];

export const inspectCommand: Command = {
  usage: "inspect <path>",
  about: "Inspect OPA bundle(s)",
  help: "Summarize a bundle, a directory in a bundle's layout, or a Rego file: its manifest, packages, files and annotations.",
  flags: FLAGS,
  run: inspect,
};

/** A metadata block with the rule or package it stands at. */
interface Found {
  readonly annotations: Annotations;
  readonly module: Module;
  readonly rule: Rule | undefined;
}

async function inspect(values: FlagValues, terminal: Terminal): Promise<number> {
  const [path, ...more] = values.positional;
  if (path === undefined || more.length > 0) throw new UsageError("specify exactly one OPA bundle or path");
  const settings: PolicySettings = { version: versionOf(values), annotations: true, keepPrint: false, isPartial: true };
  try {
    const { loadPaths } = await import("../policy/index.ts");
    const loaded = await loadPaths([path], { bundle: !path.endsWith(".rego") });
    const modules = parseModules(loaded.modules, settings);
    const policy = compileModules(modules, loaded.data, { ...settings, extensions: await extensionsFor(loaded) });
    const found = values.bool("annotations") ? modules.flatMap(annotationsIn).sort(byPathAndPlace) : [];
    if (values.string("format") === "json") terminal.out(prettyJson(summary(loaded, modules, policy, found)));
    else
      terminal.out(
        manifestText(loaded) +
          namespacesText(loaded, modules) +
          found
            .map(annotationsText)
            .join("")
            .replace(/^(?=.)/s, "ANNOTATIONS:\n"),
      );
    return 0;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    terminal.err(`error: ${failureText(error)}\n`);
    return 1;
  }
}

// --- what is there ---

function namespaces(loaded: Loaded, modules: readonly Module[]): ReadonlyMap<string, readonly string[]> {
  const files = new Map<string, string[]>();
  const add = (name: string, file: string): void => void files.set(name, [...(files.get(name) ?? []), file]);
  for (const module of modules) add(termToText(module.package.path), module.file);
  for (const { documents } of loaded.bundles) {
    for (const { file, path } of documents) add(["data", ...path].join("."), file);
  }
  return new Map([...files.keys()].sort().map((name) => [name, (files.get(name) ?? []).sort()]));
}

function annotationsIn(module: Module): readonly Found[] {
  const ofPackage = module.annotations.filter(({ scope }) => scope === "package" || scope === "subpackages");
  const seen = new Set<string>();
  const ofRules = module.rules.flatMap((rule) =>
    rule.annotations.flatMap((annotations) => {
      // A block of the scope `document` stands with all rules of its document, and is listed with the first.
      const { row, col } = annotations.at;
      if (annotations.scope === "document" && seen.has(`${row}:${col}`)) return [];
      seen.add(`${row}:${col}`);
      return [{ annotations, module, rule }];
    }),
  );
  return [...ofPackage.map((annotations) => ({ annotations, module, rule: undefined })), ...ofRules];
}

function byPathAndPlace(a: Found, b: Found): number {
  const byPath = compareTerms(pathOf(a), pathOf(b));
  if (byPath !== 0) return byPath;
  const [place, other] = [a.annotations.at, b.annotations.at];
  if (place.source.name !== other.source.name) return place.source.name < other.source.name ? -1 : 1;
  return place.row === other.row ? place.col - other.col : place.row - other.row;
}

function pathOf({ module, rule }: Found): Module["package"]["path"] {
  if (rule === undefined) return module.package.path;
  const [head, ...rest] = rule.head.reference.terms;
  const name = head?.kind === "var" ? { kind: "string" as const, value: head.name, at: head.at } : head;
  const terms = [...module.package.path.terms, ...(name === undefined ? [] : [name]), ...rest];
  const end = terms.findIndex((term, i) => i > 0 && !isGroundTerm(term));
  return { kind: "ref", terms: end === -1 ? terms : terms.slice(0, end), at: rule.at };
}

/**
 * Builtins and features these modules need of whoever runs them. As in OPA, `some … in` and what stands in the body of
 * `every` do not count.
 */
function requirements(modules: readonly Module[], policy: Policy): Document {
  const names = new Set<string>();
  for (const { rule } of policy.program.rules) collectCalls(rule, names);
  const features = new Set<string>();
  const keywords = new Set<string>();
  for (const module of modules) {
    for (const feature of featuresOf(module)) features.add(feature);
    for (const keyword of futureKeywordsOf(module)) keywords.add(keyword);
    for (const rule of module.rules) collectCalls(rule, names, () => features.add("template_strings"));
  }
  // The compiler answers them.
  for (const name of ["rego.metadata.chain", "rego.metadata.rule"]) names.delete(name);
  const known = ownCapabilities("v1")["builtins"] as readonly JsonObject[];
  const builtins = known.filter((builtin) => names.has(builtin["name"] as string));
  return {
    builtins: builtins.length > 0 ? builtins : undefined,
    future_keywords: keywords.size > 0 ? [...keywords].sort() : undefined,
    features: features.size > 0 ? [...features].sort() : undefined,
  };
}

const FUTURE_KEYWORDS = {
  v1: ["and", "not", "or"],
  v0: ["and", "contains", "every", "if", "in", "not", "or"],
} as const;

function futureKeywordsOf({ imports, version }: Module): readonly string[] {
  const known: readonly string[] = FUTURE_KEYWORDS[version === "v1" ? "v1" : "v0"];
  return imports.flatMap(({ path }) => {
    if (path.kind !== "ref") return [];
    const [root, group, word] = path.terms.map((term) =>
      term.kind === "var" ? term.name : term.kind === "string" ? term.value : "",
    );
    if (root !== "future" || group !== "keywords") return [];
    return known.filter((keyword) => word === undefined || word === keyword);
  });
}

/** @source OPA v1/ast/compile.go, buildRequiredCapabilities */
function featuresOf({ imports, rules, version }: Module): readonly string[] {
  if (version === "v1") return ["rego_v1"];
  const heads = rules.map(({ head }) => head.reference.terms).filter(({ length }) => length >= 3);
  return [
    ...(imports.some(({ path }) => termToText(path) === "rego.v1") ? ["rego_v1_import"] : []),
    ...heads.map((terms) =>
      terms.every((term, i) => i === 0 || isScalar(term)) ? "rule_head_ref_string_prefixes" : "rule_head_refs",
    ),
  ];
}

function collectCalls(rule: Rule, names: Set<string>, onTemplate?: () => void): void {
  const visitor = {
    term: (term: Parameters<typeof termToJson>[0]) => {
      if (term.kind === "call") names.add(operatorName(term.operator) ?? "");
      if (term.kind === "templatestring") onTemplate?.();
      return true;
    },
    expr: ({ form }: Rule["body"][number]) => {
      if (form.kind === "call") names.add(operatorName(form.operator) ?? "");
      return form.kind !== "some" && form.kind !== "every";
    },
  };
  for (let branch: Rule | undefined = rule; branch !== undefined; branch = branch.else) {
    if (branch.head.value !== undefined) visit(branch.head.value, visitor);
    if (branch.head.key !== undefined) visit(branch.head.key, visitor);
    visit(branch.body, visitor);
  }
}

// --- JSON ---

function summary(loaded: Loaded, modules: readonly Module[], policy: Policy, found: readonly Found[]): Document {
  const manifest = loaded.bundles[0]?.manifest;
  return {
    manifest: manifest === undefined ? undefined : manifestDocument(manifest),
    signatures_config: {},
    namespaces: Object.fromEntries(namespaces(loaded, modules)),
    annotations: found.length === 0 ? undefined : found.map(annotationsDocument),
    capabilities: requirements(modules, policy),
  };
}

function manifestDocument({ revision, roots, regoVersion, metadata }: Loaded["bundles"][number]["manifest"]): Document {
  return {
    revision,
    roots,
    rego_version: regoVersion,
    metadata: Object.keys(metadata).length === 0 ? undefined : sorted(metadata),
  };
}

function annotationsDocument(found: Found): Document {
  const { annotations, module, rule } = found;
  // The JSON form of a block is that of a module with nothing else in it.
  const json = moduleToJson({ ...module, rules: [], imports: [], comments: [], annotations: [annotations] });
  const blocks = isObject(json) ? getKey(json, "annotations") : undefined;
  const path = termToJson(pathOf(found));
  return {
    annotations: blocks !== undefined && isArray(blocks) ? withSortedMaps(blocks[0] as Value) : null,
    location: locationDocument(rule?.at ?? module.package.at),
    path: isObject(path) ? getKey(path, "value") : null,
  };
}

// --- text ---

function manifestText({ bundles: [bundle] }: Loaded): string {
  if (bundle === undefined) return "";
  const { revision, roots, regoVersion, metadata } = bundle.manifest;
  const rows = [
    ...(regoVersion === undefined ? [] : [["Rego Version", String(regoVersion)]]),
    ...(revision === "" ? [] : [["Revision", revision]]),
    ...(roots.length === 1 && roots[0] === ""
      ? []
      : [...roots].sort().map((root, i) => [i === 0 ? "Roots" : "", root])),
    ...(Object.keys(metadata).length === 0 ? [] : [["Metadata", jsonText(sorted(metadata))]]),
  ];
  return rows.length === 0 ? "" : `MANIFEST:\n${tableText(["FIELD", "VALUE"], rows)}`;
}

function namespacesText(loaded: Loaded, modules: readonly Module[]): string {
  const rows = [...namespaces(loaded, modules)].flatMap(([name, files]) =>
    files.map((file, i) => [i === 0 ? name : "", file]),
  );
  return rows.length === 0 ? "" : `NAMESPACES:\n${tableText(["NAMESPACE", "FILE"], rows)}`;
}

function annotationsText(found: Found): string {
  const { annotations, module, rule } = found;
  const { title, description, organizations, authors, schemas, relatedResources, custom, entrypoint, scope } =
    annotations;
  const heading = title ?? termToText(pathOf(found)).replace(/^data\./, "");
  const at = rule?.at ?? module.package.at;
  const lines = [heading, "=".repeat(heading.length), ""];
  if (description !== undefined && description !== "") lines.push(description, "");
  lines.push(`Package:  ${termToText(module.package.path).replace(/^data\./, "")}`);
  if (rule !== undefined) lines.push(`Rule:     ${termToText(rule.head.reference)}`);
  lines.push(`Location: ${at.source.name}:${at.row}`, `Scope: ${scope}`);
  if (entrypoint === true) lines.push("Entrypoint: true");
  lines.push("");
  const section = (name: string, items: readonly (readonly [string, string])[], separator: string): void => {
    if (items.length === 0) return;
    const width = Math.max(...items.map(([key]) => key.length));
    const rows = items.map(([key, value]) =>
      ` ${key === "" ? value : `${key}${separator}`.padEnd(width + separator.length) + value}`.trimEnd(),
    );
    lines.push(`${name}:`, ...rows, "");
  };
  section(
    "Organizations",
    (organizations ?? []).map((name) => ["", name]),
    "",
  );
  section(
    "Authors",
    (authors ?? []).map(({ name, email }) => ["", email === undefined || email === "" ? name : `${name} <${email}>`]),
    "",
  );
  section(
    "Schemas",
    (schemas ?? []).map(({ path, schema, definition }) => [
      termToText(path),
      schema === undefined ? jsonText(definition as Document) : termToText(schema),
    ]),
    ": ",
  );
  section(
    "Related Resources",
    (relatedResources ?? []).map(({ ref, description: about }) => [ref, about ?? ""]),
    " ",
  );
  section(
    "Custom",
    Object.entries(custom ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [key, jsonText(value as Document)]),
    ": ",
  );
  return `${lines.join("\n")}\n`;
}
