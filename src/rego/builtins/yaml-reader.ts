import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseAllDocuments,
  type Scalar,
} from "yaml";
import { Base64Error, decodeBase64, fromUtf8, isYamlTooDeep } from "../../base/index.ts";
import { fromBigInt, parseNumber, setOwn, type Value } from "../value/index.ts";
import { formatGoFloat } from "./go-float.ts";
import { type ResolvedScalar, resolveScalar } from "./yaml-scalar.ts";

/** YAML text was malformed, or has no form in JSON. The wording follows libyaml's, which OPA shows. */
export class YamlError extends Error {
  override readonly name = "YamlError";
}

/** go-yaml draws its line for alias bombs between 400,000 and 4,000,000 nodes. */
const MAX_NODES = 4_000_000;
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;

/**
 * The first document of a YAML stream, as sigs.k8s.io/yaml turns it into JSON: YAML 1.1 scalars, merge keys, keys as text.
 * @param spend is told the number of nodes, aliases counted as often as they are used
 */
export function unmarshalYaml(text: string, spend: (steps: number) => void): Value {
  if (CONTROL.test(text)) throw new YamlError("yaml: control characters are not allowed");
  if (isYamlTooDeep(text)) throw new YamlError("yaml: exceeded max depth");
  try {
    const documents = parseAllDocuments(text, {
      version: "1.1",
      schema: "failsafe",
      uniqueKeys: false,
      // Showing the place costs time for each of as many errors as the text has.
      prettyErrors: false,
      logLevel: "silent",
    });
    const document = Array.isArray(documents) ? documents[0] : undefined;
    if (document === undefined) return null;
    const failure = document.errors[0];
    if (failure !== undefined) throw new YamlError(`yaml: ${wording(text, failure)}`);
    return new Reader(text, spend).read(document as Document<Node>);
  } catch (error) {
    // The parser recurses; text nested deeper than its stack is beyond every sensible document.
    if (error instanceof RangeError) throw new YamlError("yaml: exceeded max depth", { cause: error });
    throw error;
  }
}

/** A node's value and how many nodes it stands for with aliases written out. */
interface Read {
  readonly value: Value;
  readonly weight: number;
}

class Reader {
  readonly #text: string;
  readonly #spend: (steps: number) => void;
  /** Undefined while the anchor's own node is being read. */
  readonly #anchors = new Map<string, Read | undefined>();
  #nodes = 0;

  constructor(text: string, spend: (steps: number) => void) {
    this.#text = text;
    this.#spend = spend;
  }

  read(document: Document<Node>): Value {
    return this.#node(document.contents).value;
  }

  #node(node: unknown): Read {
    if (isAlias(node)) return this.#alias(node);
    this.#count(1);
    const anchor = (node as { anchor?: string } | null)?.anchor;
    if (anchor !== undefined) this.#anchors.set(anchor, undefined);
    const before = this.#nodes;
    const value = this.#value(node);
    const read = { value, weight: 1 + this.#nodes - before };
    if (anchor !== undefined) this.#anchors.set(anchor, read);
    return read;
  }

  #value(node: unknown): Value {
    if (isScalar(node)) return this.#scalar(node);
    if (isSeq(node)) return node.items.map((item) => this.#node(item).value);
    if (isMap(node)) return this.#map(node.items);
    return null;
  }

  #alias(alias: Alias): Read {
    if (!this.#anchors.has(alias.source)) throw new YamlError(`yaml: unknown anchor '${alias.source}' referenced`);
    const target = this.#anchors.get(alias.source);
    if (target === undefined) throw new YamlError(`yaml: anchor '${alias.source}' value contains itself`);
    this.#count(target.weight);
    return target;
  }

  #count(nodes: number): void {
    this.#nodes += nodes;
    this.#spend(nodes);
    if (this.#nodes > MAX_NODES) throw new YamlError("yaml: document contains excessive aliasing");
  }

  #map(pairs: readonly { readonly key: unknown; readonly value: unknown }[]): Value {
    const map: Record<string, Value> = {};
    for (const { key, value } of pairs) {
      if (isMergeKey(key)) this.#merge(value, map);
      else {
        const name = this.#key(key);
        setOwn(map, name, this.#node(value).value);
      }
    }
    return map;
  }

  /** `<<`: members of other maps; of several maps the earlier wins. */
  #merge(node: unknown, into: Record<string, Value>): void {
    const { value } = this.#node(node);
    const maps = Array.isArray(value) && !isMap(node) ? [...(value as readonly Value[])].reverse() : [value];
    for (const map of maps) {
      if (typeof map !== "object" || map === null || Array.isArray(map)) {
        throw new YamlError("yaml: map merge requires map or sequence of maps as the value");
      }
      for (const [key, member] of Object.entries(map)) setOwn(into, key, member as Value);
    }
  }

  #key(node: unknown): string {
    const target = isAlias(node) ? undefined : node;
    if (target !== undefined && isScalar(target)) {
      const resolved = this.#resolved(target);
      if (resolved.kind === "float") return floatKey(resolved.value as number);
      if (resolved.value === null) throw new YamlError("unsupported map key of type: %!s(<nil>), key: <nil>");
      return String(resolved.value);
    }
    const { value } = this.#node(node);
    if (typeof value === "object") throw new YamlError("yaml: invalid map key");
    return String(value);
  }

  #scalar(node: Scalar): Value {
    const { value } = this.#resolved(node);
    if (typeof value === "bigint") return fromBigInt(value);
    if (typeof value !== "number") return value;
    if (!Number.isFinite(value)) {
      throw new YamlError(`json: unsupported value: ${Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf"}`);
    }
    return parseNumber(Object.is(value, -0) ? "-0" : String(value));
  }

  #textOf(node: Scalar): string {
    const text = typeof node.value === "string" ? node.value : "";
    const isBlock = node.type === "BLOCK_LITERAL" || node.type === "BLOCK_FOLDED";
    // A block scalar that the stream ends within has no line end to keep.
    const cutOff = isBlock && (node.range?.[1] ?? 0) >= this.#text.length && !this.#text.endsWith("\n");
    return cutOff && text.endsWith("\n") ? text.slice(0, -1) : text;
  }

  #resolved(node: Scalar): ResolvedScalar {
    const text = this.#textOf(node);
    const tag = node.tag?.replace("tag:yaml.org,2002:", "!!");
    const plain = node.type === "PLAIN" || node.type === undefined;
    switch (tag) {
      case undefined:
        return plain ? resolveScalar(text) : { kind: "str", value: text };
      case "!!binary":
        return { kind: "str", value: binaryText(text) };
      case "!!bool":
      case "!!int":
      case "!!null":
      case "!!float":
      case "!!timestamp": {
        const resolved = resolveScalar(text);
        if (`!!${resolved.kind}` === tag) return resolved;
        if (tag === "!!float" && typeof resolved.value === "bigint") {
          return { kind: "float", value: Number(resolved.value) };
        }
        throw new YamlError(`yaml: cannot decode !!${resolved.kind} \`${text}\` as a ${tag}`);
      }
      default:
        return { kind: "str", value: text };
    }
  }
}

/** Go formats keys as float32, whatever that does to them. */
function floatKey(value: number): string {
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(value)) return value > 0 ? ".inf" : "-.inf";
  const single = Math.fround(value);
  for (let digits = 1; digits < 9; digits++) {
    const text = formatGoFloat(single, "g", digits);
    if (Math.fround(Number(text)) === single) return formatGoFloat(Number(text), "g", -1);
  }
  return formatGoFloat(single, "g", 9);
}

function binaryText(text: string): string {
  try {
    return fromUtf8(decodeBase64(text));
  } catch (error) {
    if (error instanceof Base64Error) throw new YamlError("yaml: !!binary value contains invalid base64 data");
    throw error;
  }
}

function isMergeKey(node: unknown): boolean {
  return isScalar(node) && node.value === "<<" && node.type === "PLAIN" && node.tag === undefined;
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly pos: readonly [number, number];
}

/** libyaml's words for what the parser found, with its idea of the line. */
function wording(text: string, { code, message, pos }: Failure): string {
  const line = text.slice(0, pos[0]).split("\n").length;
  // The parser of libyaml counts lines from 0, its scanner names them from 1 and not at all on the first.
  const parsing = (problem: string): string => {
    const at = pos[0] >= text.trimEnd().length ? text.trimEnd().split("\n").length : line - 1;
    return at === 0 ? problem : `line ${at}: ${problem}`;
  };
  const scanning = (problem: string): string => (line === 1 ? problem : `line ${line}: ${problem}`);
  if (code === "MISSING_CHAR" && message.includes("quote")) return scanning("found unexpected end of stream");
  if (/Flow (?:map|sequence)|flow (?:map|sequence|collection)/i.test(message)) {
    const open = text.slice(0, pos[0]).trimEnd().at(-1);
    if (open === "[" || open === "{") return parsing("did not find expected node content");
    return parsing(`did not find expected ',' or '${/map/i.test(message) ? "}" : "]"}'`);
  }
  switch (code) {
    case "BLOCK_AS_IMPLICIT_KEY":
    case "MULTILINE_IMPLICIT_KEY":
      return scanning("mapping values are not allowed in this context");
    case "BAD_SCALAR_START":
    case "TAB_AS_INDENT":
      return scanning("found character that cannot start any token");
    case "BAD_DQ_ESCAPE":
      return scanning("found unknown escape character");
    case "BAD_DIRECTIVE":
      return scanning("found unknown directive name");
    case "UNEXPECTED_TOKEN":
    case "BAD_INDENT":
    case "IMPOSSIBLE":
      return parsing("did not find expected key");
    default:
      return parsing("did not find expected node content");
  }
}
