import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { isYamlTooDeep, type Location } from "../../base/index.ts";
import { fromBigInt, type JsonObject, parseNumber, setOwn, type Value } from "../value/index.ts";
import type { Annotations, AnnotationScope, Comment, Diagnostic, Module, RefTerm, Rule, Term } from "./ast.ts";
import { refTerm, stringTerm } from "./construct.ts";
import { caretDetails } from "./details.ts";
import { type ParseResult, parseRef, parseTerm } from "./parse.ts";
import { termToText } from "./text.ts";
import { isGroundTerm } from "./traverse.ts";

/** Anything annotations can stand before. */
export interface AnnotationTarget {
  readonly kind: "package" | "import" | "rule";
  readonly at: Location;
  /** Full path of a package, or of a rule as far as it is fixed. */
  readonly path: readonly Term[] | undefined;
}

/** Bounds the aliases of one block: YAML can say much with few characters. */
const MAX_ALIASES = 100;
const MAX_YAML_DEPTH = 100;

/** What Go's YAML reader says about the commonest mistakes, and how far below it finds them. */
const YAML_ERRORS: ReadonlyMap<string, { readonly text: string; readonly linesBelow: number }> = new Map([
  ["MULTILINE_IMPLICIT_KEY", { text: "mapping values are not allowed in this context", linesBelow: 1 }],
  ["BLOCK_AS_IMPLICIT_KEY", { text: "mapping values are not allowed in this context", linesBelow: 0 }],
  ["MISSING_CHAR", { text: "could not find expected ':'", linesBelow: 0 }],
]);

/** One block of METADATA: the comment that opens it, and those that hold the YAML. */
interface Block {
  readonly opening: Comment;
  readonly lines: readonly Comment[];
}

/** Annotations as written: the scope may still be missing. */
type Draft = Omit<Annotations, "scope"> & { readonly scope: string };

class AnnotationError extends Error {
  readonly at: Location | undefined;

  constructor(message: string, at?: Location) {
    super(message);
    this.at = at;
  }
}

/** Reads the METADATA comments of a module and attaches them to its package and rules. */
export function attachAnnotations(module: Module, targets: readonly AnnotationTarget[]): ParseResult<Module> {
  const drafts: Draft[] = [];
  const parseErrors: Diagnostic[] = [];
  for (const block of blocksOf(module.comments)) {
    const draft = readBlock(block);
    if ("code" in draft) parseErrors.push(draft);
    else drafts.push(draft);
  }
  if (parseErrors.length > 0) return { diagnostics: parseErrors };

  const errors: Diagnostic[] = [];
  const attached = drafts.map((draft) => {
    const target = targetBelow(targets, draft.at.row);
    const scope = draft.scope === "" ? defaultScope(draft, target) : draft.scope;
    for (const message of scopeErrors(scope, draft.entrypoint === true, target)) {
      errors.push({ code: "rego_parse_error", message, at: draft.at });
    }
    return { annotations: { ...draft, scope: scope as AnnotationScope }, target };
  });
  if (errors.length > 0) return { diagnostics: errors };
  return {
    value: {
      ...module,
      annotations: attached.map(({ annotations }) => annotations),
      rules: annotateRules(module, attached),
    },
  };
}

/** The first target on a later row; targets come by row. */
function targetBelow(targets: readonly AnnotationTarget[], row: number): AnnotationTarget | undefined {
  let low = 0;
  let high = targets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((targets[middle] as AnnotationTarget).at.row > row) high = middle;
    else low = middle + 1;
  }
  return targets[low];
}

interface Attached {
  readonly annotations: Annotations;
  readonly target: AnnotationTarget | undefined;
}

/** A rule gets the document annotations of its path, and the last rule annotations above it that no rule before took. */
function annotateRules(module: Module, attached: readonly Attached[]): readonly Rule[] {
  const byPath = new Map<string, { documents: Annotations[]; rules: Annotations[] }>();
  for (const { annotations, target } of attached) {
    if (target?.path === undefined) continue;
    const key = pathKey(target.path);
    const lists = byPath.get(key) ?? { documents: [], rules: [] };
    byPath.set(key, lists);
    if (annotations.scope === "document") lists.documents.push(annotations);
    else if (annotations.scope === "rule") lists.rules.push(annotations);
  }
  if (byPath.size === 0) return module.rules;
  return module.rules.map((rule) => {
    const lists = byPath.get(pathKey(fixedPath(module, rule)));
    if (lists === undefined) return rule;
    const { rules } = lists;
    const below = rules.findIndex(({ at }) => at.row >= rule.at.row);
    const above = below === -1 ? rules.length : below;
    const found = [...lists.documents, ...rules.slice(0, above)].sort((a, b) => a.at.offset - b.at.offset);
    if (above > 0) rules.splice(above - 1, 1);
    return found.length === 0 ? rule : { ...rule, annotations: found };
  });
}

function pathKey(path: readonly Term[]): string {
  return path.map(termToText).join("\n");
}

/** The full path of a rule, up to its first variable. */
export function fixedPath(module: Pick<Module, "package">, rule: Rule): readonly Term[] {
  const [name, ...rest] = rule.head.reference.terms;
  const path = [...module.package.path.terms, name?.kind === "var" ? stringTerm(name.name, name.at) : name, ...rest];
  const terms = path.filter((term) => term !== undefined);
  const end = terms.findIndex((term, i) => i > 0 && !isGroundTerm(term));
  return end === -1 ? terms : terms.slice(0, end);
}

function defaultScope(draft: Draft, target: AnnotationTarget | undefined): string {
  if (target === undefined) return "";
  return target.kind === "rule" && draft.entrypoint === true ? "document" : target.kind;
}

function scopeErrors(scope: string, entrypoint: boolean, target: AnnotationTarget | undefined): readonly string[] {
  const errors: string[] = [];
  const wanted = scope === "rule" || scope === "document" ? "rule" : "package";
  if (!["rule", "document", "package", "subpackages"].includes(scope)) {
    errors.push(`invalid annotation scope '${scope}'. Use one of 'rule', 'document', 'package', or 'subpackages'`);
  } else if (target?.kind !== wanted) {
    const have = target === undefined ? "" : ` (have ${target.kind})`;
    errors.push(`annotation scope '${scope}' must be applied to ${wanted}${have}`);
  }
  if (entrypoint && scope !== "document" && scope !== "package") {
    errors.push(`annotation entrypoint applied to non-document or package scope '${scope}'`);
  }
  return errors;
}

function isOpening(comment: Comment): boolean {
  return comment.at.col === 1 && comment.text.trim().startsWith("METADATA");
}

function blocksOf(comments: readonly Comment[]): readonly Block[] {
  const blocks: Block[] = [];
  for (let i = 0; i < comments.length; i++) {
    const opening = comments[i] as Comment;
    if (!isOpening(opening)) continue;
    const lines: Comment[] = [];
    for (let next = comments[i + 1]; next !== undefined; next = comments[i + 1]) {
      const previous = comments[i] as Comment;
      if (next.at.col !== 1 || next.at.row - 1 !== previous.at.row || isOpening(next)) break;
      lines.push(next);
      i++;
    }
    blocks.push({ opening, lines });
  }
  return blocks;
}

function readBlock(block: Block): Draft | Diagnostic {
  try {
    return new BlockReader(block).read();
  } catch (error) {
    if (!(error instanceof AnnotationError)) throw error;
    const at = error.at ?? block.opening.at;
    return {
      code: "rego_parse_error",
      message: error.message,
      at,
      ...caretDetails(at.source.text, at.offset),
    };
  }
}

class BlockReader {
  readonly #block: Block;
  readonly #lines = new LineCounter();
  readonly #text: string;
  #document: Document | undefined;
  #aliases = 0;

  constructor(block: Block) {
    this.#block = block;
    this.#text = block.lines.map((line) => `${line.text.replace(/^ /, "")}\n`).join("");
  }

  read(): Draft {
    if (this.#text.trim() === "") throw new AnnotationError("expected METADATA block, found whitespace");
    const fields = this.#fields();
    const entrypoint = this.#boolean(fields.get("entrypoint"));
    const title = this.#string(fields.get("title"));
    const description = this.#string(fields.get("description"));
    const organizations = this.#items(fields.get("organizations"), "[]string").map((item) => this.#string(item));
    const relatedResources = this.#items(fields.get("related_resources"), "[]interface {}").map((item) =>
      relatedResource(this.#value(item)),
    );
    const authors = this.#items(fields.get("authors"), "[]interface {}").map((item) => author(this.#value(item)));
    const schemas = this.#items(fields.get("schemas"), "[]map[string]interface {}").map((item) =>
      schema(this.#object(item)),
    );
    const compile = fields.get("compile");
    const custom = this.#object(fields.get("custom"));
    const labels = this.#object(fields.get("labels"));
    return {
      scope: this.#string(fields.get("scope")),
      ...(title !== "" ? { title } : {}),
      ...(description !== "" ? { description } : {}),
      ...(entrypoint ? { entrypoint } : {}),
      ...(organizations.length > 0 ? { organizations } : {}),
      ...(relatedResources.length > 0 ? { relatedResources } : {}),
      ...(authors.length > 0 ? { authors } : {}),
      ...(schemas.length > 0 ? { schemas } : {}),
      ...(isNullNode(compile) ? {} : { compile: compilation(this.#object(compile)) }),
      ...(Object.keys(custom).length > 0 ? { custom } : {}),
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      at: { ...this.#block.opening.at, end: (this.#block.lines.at(-1) as Comment).at.end },
    };
  }

  #fields(): ReadonlyMap<string, Node> {
    if (isYamlTooDeep(this.#text)) throw new AnnotationError("annotations are nested too deeply");
    const document = parseDocument(this.#text, {
      lineCounter: this.#lines,
      intAsBigInt: true,
      prettyErrors: false,
      logLevel: "silent",
    });
    const [error] = document.errors;
    if (error !== undefined) {
      const { line } = this.#lines.linePos(error.pos[0]);
      const known = YAML_ERRORS.get(error.code);
      const at = line + (known?.linesBelow ?? 0);
      throw this.#yamlError(at, `yaml: line ${at}: ${known?.text ?? error.message}`);
    }
    this.#document = document;
    const root = document.contents as Node | null;
    if (isNullNode(root)) return new Map();
    if (!isMap(root)) throw this.#mismatch(root, "ast.rawAnnotation");
    const fields = new Map<string, Node>();
    for (const { key, value } of root.items) {
      if (isScalar(key) && value !== null) fields.set(String(key.value), this.#resolve(value as Node));
    }
    return fields;
  }

  #resolve(node: Node): Node {
    if (!isAlias(node) || this.#document === undefined) return node;
    const target = ++this.#aliases > MAX_ALIASES ? undefined : node.resolve(this.#document);
    if (target === undefined) throw new AnnotationError("yaml: document contains excessive aliasing");
    return target;
  }

  /** Errors are placed at the comment that follows the line YAML names, which is where OPA looks. */
  #yamlError(line: number, message: string): AnnotationError {
    const { lines } = this.#block;
    const at = (lines[line] ?? lines.at(-1))?.at;
    return new AnnotationError(`${message}${this.#spaceHint()}`, at);
  }

  #mismatch(node: Node | null | undefined, want: string): AnnotationError {
    const { line } = this.#lines.linePos(node?.range?.[0] ?? 0);
    const tag = isMap(node) ? "!!map" : isSeq(node) ? "!!seq" : scalarTag(node);
    return this.#yamlError(line, `yaml: unmarshal errors:\n  line ${line}: cannot unmarshal ${tag} into ${want}`);
  }

  /** A colon followed by a space that is none for YAML makes errors that are hard to understand. */
  #spaceHint(): string {
    let hint = "";
    for (const { text, at } of this.#block.lines) {
      const parts = text.split(":").slice(1);
      const invalid: string[] = [];
      for (const [i, part] of parts.entries()) {
        if (part === "" && i === parts.length - 1) break;
        const char = part === "" ? "\ufffd" : String.fromCodePoint(part.codePointAt(0) as number);
        if (char === " " || char === "\t") break;
        invalid.push(quoteRune(char));
      }
      if (invalid.length === 0) continue;
      hint += `\n  Hint: on line ${at.row}, symbol(s) [${invalid.join(" ")}] immediately following a key/value separator ':' is not a legal yaml space character`;
    }
    return hint;
  }

  #string(node: Node | undefined): string {
    if (isNullNode(node)) return "";
    if (!isScalar(node)) throw this.#mismatch(node, "string");
    return typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
  }

  #boolean(node: Node | undefined): boolean {
    if (isNullNode(node)) return false;
    if (isScalar(node)) {
      if (typeof node.value === "boolean") return node.value;
      const word = typeof node.value === "string" && node.type === "PLAIN" ? node.value.toLowerCase() : "";
      // Go's reader still takes YAML 1.1's words where a boolean is wanted.
      if (["y", "yes", "on"].includes(word)) return true;
      if (["n", "no", "off"].includes(word)) return false;
    }
    throw this.#mismatch(node, "bool");
  }

  #items(node: Node | undefined, want: string): readonly Node[] {
    if (isNullNode(node)) return [];
    if (!isSeq(node)) throw this.#mismatch(node, want);
    return (node.items as readonly Node[]).map((item) => this.#resolve(item));
  }

  #object(node: Node | undefined): JsonObject {
    if (isNullNode(node)) return {};
    if (!isMap(node)) throw this.#mismatch(node, "map[string]interface {}");
    return this.#value(node) as JsonObject;
  }

  #value(given: Node | null | undefined, path: readonly string[] = []): Value {
    if (path.length > MAX_YAML_DEPTH) throw new AnnotationError("annotations are nested too deeply");
    if (given === null || given === undefined) return null;
    const node = this.#resolve(given);
    if (isMap(node)) {
      const object: Record<string, Value> = {};
      for (const { key, value } of node.items) {
        if (!isScalar(key) || (typeof key.value !== "string" && path.length > 0)) {
          throw new AnnotationError(`invalid map key type(s): ${path.join("/")}`);
        }
        const name = String(key.value);
        setOwn(object, name, this.#value(value as Node | null, [...path, name]));
      }
      return object;
    }
    if (isSeq(node)) return node.items.map((item, i) => this.#value(item as Node, [...path, String(i)]));
    return isScalar(node) ? scalarValue(node.value, node.source) : null;
  }
}

function isNullNode(node: Node | null | undefined): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}

function scalarTag(node: Node | null | undefined): string {
  const value = isScalar(node) ? node.value : undefined;
  const source = isScalar(node) ? node.source : undefined;
  const text = source === undefined ? "" : ` \`${source.length > 10 ? `${source.slice(0, 7)}...` : source}\``;
  switch (typeof value) {
    case "boolean":
      return `!!bool${text}`;
    case "bigint":
      return `!!int${text}`;
    case "number":
      return `!!float${text}`;
    default:
      return `!!str${text}`;
  }
}

function scalarValue(value: unknown, source: string | undefined): Value {
  switch (typeof value) {
    case "bigint":
      return fromBigInt(value);
    case "number":
      return Number.isFinite(value) ? parseNumber(String(value)) : (source ?? "");
    case "string":
    case "boolean":
      return value;
    default:
      return null;
  }
}

function quoteRune(char: string): string {
  const code = char.codePointAt(0) as number;
  if (code >= 0x20 && code < 0x7f) return `'${char === "'" || char === "\\" ? `\\${char}` : char}'`;
  return code < 0x10000 ? `'\\u${code.toString(16).padStart(4, "0")}'` : `'\\U${code.toString(16).padStart(8, "0")}'`;
}

function textField(object: JsonObject, key: string): string {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  return typeof value === "string" ? value.trim() : "";
}

function isPlainObject(value: Value): value is JsonObject {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function relatedResource(value: Value): { readonly ref: string; readonly description?: string } {
  const fail = (reason: string): AnnotationError =>
    new AnnotationError(`invalid related-resource definition ${goText(value)}: ${reason}`);
  if (typeof value === "string") {
    if (value === "") throw fail("ref URL may not be empty string");
    return { ref: value };
  }
  if (!isPlainObject(value)) throw fail("invalid value type, must be string or map");
  const ref = textField(value, "ref");
  const description = textField(value, "description");
  if (ref === "") throw fail("'ref' value required in object");
  return { ref, ...(description === "" ? {} : { description }) };
}

function author(value: Value): { readonly name: string; readonly email?: string } {
  const fail = (reason: string): AnnotationError =>
    new AnnotationError(`invalid author definition ${goText(value)}: ${reason}`);
  if (typeof value === "string") {
    const words = value.split(/\s+/).filter((word) => word !== "");
    const last = words.at(-1);
    if (last === undefined) throw fail("author is an empty string");
    // The last word in angle brackets is the mail address.
    const mail = /^<(.*)>$/s.exec(last)?.[1];
    const name = (mail === undefined ? words : words.slice(0, -1)).join(" ");
    return { name, ...(mail === undefined || mail === "" ? {} : { email: mail }) };
  }
  if (!isPlainObject(value)) throw fail("invalid value type, must be string or map");
  const name = textField(value, "name");
  const email = textField(value, "email");
  if (name === "" && email === "") throw fail("'name' and/or 'email' values required in object");
  return { name, ...(email === "" ? {} : { email }) };
}

function schema(pair: JsonObject): { path: RefTerm; schema?: RefTerm; definition?: unknown } {
  const [key = "", value = null] = Object.entries(pair)[0] ?? [];
  const path = parseRef(key);
  if (path.diagnostics !== undefined) throw new AnnotationError("invalid document reference");
  if (typeof value === "string") return { path: path.value, schema: schemaRef(value) };
  if (isPlainObject(value)) return { path: path.value, definition: value };
  throw new AnnotationError(`invalid schema declaration for path ${JSON.stringify(key)}`);
}

function schemaRef(text: string): RefTerm {
  const term = parseTerm(text).value;
  if (term?.kind === "var" && term.name === "schema") return refTerm([term]);
  const head = term?.kind === "ref" ? term.terms[0] : undefined;
  if (term?.kind === "ref" && head?.kind === "var" && head.name === "schema") return term;
  throw new AnnotationError("invalid schema reference");
}

function compilation(object: JsonObject): { unknowns?: readonly RefTerm[]; maskRule?: RefTerm } {
  const unknowns: RefTerm[] = [];
  const list = Object.hasOwn(object, "unknowns") ? object["unknowns"] : undefined;
  for (const item of Array.isArray(list) ? (list as readonly Value[]) : []) {
    if (typeof item !== "string") continue;
    const ref = parseRef(item);
    if (ref.diagnostics !== undefined) {
      const reason = ref.diagnostics[0]?.message ?? "";
      throw new AnnotationError(`invalid unknowns element ${JSON.stringify(item)}: ${reason}`);
    }
    unknowns.push(ref.value);
  }
  const mask = Object.hasOwn(object, "mask_rule") ? object["mask_rule"] : undefined;
  return {
    ...(unknowns.length > 0 ? { unknowns } : {}),
    ...(typeof mask === "string" ? { maskRule: maskRule(mask) } : {}),
  };
}

function maskRule(text: string): RefTerm {
  const term = parseTerm(text);
  if (term.diagnostics !== undefined) {
    const reason = term.diagnostics[0]?.message ?? "";
    throw new AnnotationError(`invalid mask_rule annotation ${JSON.stringify(text)}: ${reason}`);
  }
  const { value } = term;
  if (value.kind === "ref") return value;
  if (value.kind === "var" || value.kind === "string") return refTerm([value]);
  throw new AnnotationError(`invalid mask_rule annotation type ${JSON.stringify(text)}: string`);
}

/** A value as Go's `%s` prints it. */
function goText(value: Value): string {
  if (typeof value === "string") return value;
  if (value === null) return "%!s(<nil>)";
  if (Array.isArray(value)) return `[${(value as readonly Value[]).map(goText).join(" ")}]`;
  if (isPlainObject(value)) {
    const members = Object.keys(value)
      .sort()
      .map((key) => `${key}:${goText(value[key] as Value)}`);
    return `map[${members.join(" ")}]`;
  }
  const kind = typeof value === "boolean" ? "bool" : Number.isInteger(Number(value)) ? "int" : "float64";
  return `%!s(${kind}=${String(value)})`;
}
