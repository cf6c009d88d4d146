import { type Location, mapInSteps, Source, type Steps } from "../../base/index.ts";
import type { IndexTest, RuleIndex } from "../runtime/index.ts";
import { isArray, RegoNumber, RegoObject, RegoSet, setOwn, type Value } from "../value/index.ts";
import { type DocumentTree, type Group, Node } from "./documents.ts";
import { Js } from "./js.ts";
import { ProgramLoader } from "./load.ts";
import { bindDocuments, type GeneratedQuery, loadQuery, type ProgramCode, type QueryCode } from "./program.ts";
import type { CallableBuiltin, Constant } from "./unit.ts";

/** Generated code as plain data, for another thread of this process to load. Each piece takes it a millisecond or two. */
export type CodePiece =
  | { readonly kind: "program"; readonly counts: PieceCounts }
  | { readonly kind: "nodes"; readonly nodes: readonly NodeImage[] }
  | { readonly kind: "sources"; readonly sources: readonly SourceImage[] }
  | { readonly kind: "constants"; readonly constants: readonly ConstantImage[] }
  | { readonly kind: "script"; readonly text: string };

/** The text of a query. */
export interface QueryImage {
  readonly text: string;
  readonly sources: readonly SourceImage[];
  readonly constants: readonly ConstantImage[];
}

type SourceImage = Pick<Source, "name" | "text">;

/** How many of each there are to come, and how many lists of functions the scripts fill. */
interface PieceCounts {
  readonly nodes: number;
  readonly constants: number;
  readonly scripts: number;
  readonly tables: number;
}

/** A document, after the one above it. */
interface NodeImage {
  readonly key: ValueImage;
  /** The number of the one above; the root's own is 0. */
  readonly parent: number;
  readonly group: Pick<Group, "id" | "kind" | "isKeyed"> | undefined;
}

type ConstantImage =
  | { readonly kind: "value"; readonly value: ValueImage }
  | { readonly kind: "location"; readonly at: Int32Array }
  | { readonly kind: "locations"; readonly list: Int32Array }
  | { readonly kind: "node"; readonly node: number }
  | { readonly kind: "index"; readonly index: IndexImage }
  | { readonly kind: "builtin"; readonly name: string }
  | Extract<Constant, { kind: "group" }>;

type ValueImage =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly ValueImage[]
  | { readonly number: string }
  | { readonly set: readonly ValueImage[] }
  | { readonly object: readonly (readonly [ValueImage, ValueImage])[] }
  | { readonly json: readonly (readonly [string, ValueImage])[] };

/** A definition alone, without a test, is its number. */
type IndexImage = number | { readonly always: readonly number[]; readonly test: TestImage | undefined };

interface TestImage {
  readonly reference: number;
  readonly strings: MapImage<string, IndexImage>;
  readonly others: MapImage<string, IndexImage>;
  readonly prefixes: MapImage<number, MapImage<string, IndexImage>>;
  readonly rest: IndexImage | undefined;
}

interface MapImage<K, V> {
  readonly keys: readonly K[];
  readonly values: readonly V[];
}

/** Of one piece. */
const NODES = 512;
const CONSTANTS = 64;
/** Source, row, column, offset, end. */
const LOCATION_SIZE = 5;

// ---- made ---------------------------------------------------------------------------------------------------------

/** Makes the images of a program and of queries against it. */
export class ImageMaker {
  /** In an order in which each follows the one above it. */
  readonly #numbers = new Map<Node, number>();
  readonly #nodes: NodeImage[] = [];

  constructor({ root }: DocumentTree) {
    const add = (node: Node, key: Value, parent: number): void => {
      const { group } = node;
      const number = this.#nodes.length;
      this.#numbers.set(node, number);
      this.#nodes.push({
        key: imageOfValue(key),
        parent,
        group: group && { id: group.id, kind: group.kind, isKeyed: group.isKeyed },
      });
      for (const child of node.children) add(child.node, child.key, number);
    };
    add(root, null, 0);
  }

  *program({ constants, scripts, tables }: ProgramCode): Steps<readonly CodePiece[]> {
    const encoder = new Encoder(this.#numbers);
    const images = yield* mapInSteps(constants, (constant) => encoder.constant(constant));
    const nodes = this.#nodes;
    const counts = { nodes: nodes.length, constants: constants.length, scripts: scripts.length, tables };
    return [
      { kind: "program", counts },
      { kind: "sources", sources: encoder.sources },
      ...parts(nodes, NODES).map((part) => ({ kind: "nodes" as const, nodes: part })),
      ...parts(images, CONSTANTS).map((part) => ({ kind: "constants" as const, constants: part })),
      ...scripts.map(({ text }) => ({ kind: "script" as const, text })),
    ];
  }

  query({ source, constants }: QueryCode): QueryImage {
    const encoder = new Encoder(this.#numbers);
    const images = constants.map((constant) => encoder.constant(constant));
    return { text: source.text, sources: encoder.sources, constants: images };
  }
}

function parts<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** Makes images of constants, and collects the sources their locations are in. */
class Encoder {
  readonly #nodes: ReadonlyMap<Node, number>;
  readonly #sources = new Map<Source, number>();

  constructor(nodes: ReadonlyMap<Node, number>) {
    this.#nodes = nodes;
  }

  get sources(): readonly SourceImage[] {
    return [...this.#sources.keys()].map(({ name, text }) => ({ name, text }));
  }

  constant(constant: Constant): ConstantImage {
    switch (constant.kind) {
      case "value":
        return { kind: "value", value: imageOfValue(constant.value) };
      case "location":
        return { kind: "location", at: this.#locations([constant.at]) };
      case "locations":
        return { kind: "locations", list: this.#locations(constant.list) };
      case "node":
        return { kind: "node", node: this.#nodes.get(constant.node) as number };
      case "index":
        return { kind: "index", index: imageOfIndex(constant.index) };
      case "builtin":
        return { kind: "builtin", name: constant.builtin.name };
      case "group":
        return constant;
    }
  }

  #locations(list: readonly Location[]): Int32Array {
    const numbers = new Int32Array(list.length * LOCATION_SIZE);
    list.forEach(({ source, row, col, offset, end }, i) => {
      numbers.set([this.#sourceNumber(source), row, col, offset, end], i * LOCATION_SIZE);
    });
    return numbers;
  }

  #sourceNumber(source: Source): number {
    let number = this.#sources.get(source);
    if (number === undefined) {
      number = this.#sources.size;
      this.#sources.set(source, number);
    }
    return number;
  }
}

function imageOfValue(value: Value): ValueImage {
  if (typeof value !== "object" || value === null) return value;
  if (isArray(value)) return value.map(imageOfValue);
  if (value instanceof RegoNumber) return { number: value.text };
  if (value instanceof RegoSet) return { set: [...value.values()].map(imageOfValue) };
  if (value instanceof RegoObject)
    return { object: [...value.entries()].map(([key, member]) => [imageOfValue(key), imageOfValue(member)] as const) };
  return { json: Object.entries(value).map(([key, member]) => [key, imageOfValue(member)] as const) };
}

function imageOfIndex({ always, test }: RuleIndex): IndexImage {
  if (test === undefined && always.length === 1) return always[0] as number;
  return { always, test: test === undefined ? undefined : imageOfTest(test) };
}

function imageOfTest({ reference, strings, others, prefixes, rest }: IndexTest): TestImage {
  return {
    reference,
    strings: imageOfMap(strings, imageOfIndex),
    others: imageOfMap(others, imageOfIndex),
    prefixes: imageOfMap(prefixes, (byText) => imageOfMap(byText, imageOfIndex)),
    rest: rest === undefined ? undefined : imageOfIndex(rest),
  };
}

function imageOfMap<K, V, I>(map: ReadonlyMap<K, V>, imageOf: (value: V) => I): MapImage<K, I> {
  return { keys: [...map.keys()], values: [...map.values()].map(imageOf) };
}

// ---- loaded -------------------------------------------------------------------------------------------------------

/** Makes a program of the pieces of its image, in their order, and then its queries. */
export class ImageLoader {
  readonly #builtins: ReadonlyMap<string, CallableBuiltin>;
  readonly #nodes: Node[] = [];
  #sources: readonly Source[] | undefined;
  #program: ProgramLoader | undefined;
  #missing = { nodes: 0, constants: 0, scripts: 0 };

  constructor(builtins: ReadonlyMap<string, CallableBuiltin>) {
    this.#builtins = builtins;
  }

  /** @throws {TypeError} for a piece ahead of those it needs */
  take(piece: CodePiece): void {
    switch (piece.kind) {
      case "program":
        this.#program = new ProgramLoader(piece.counts.tables);
        this.#missing = { ...piece.counts };
        break;
      case "sources":
        this.#sources = piece.sources.map(sourceOf);
        break;
      case "nodes":
        for (const image of piece.nodes) this.#add(image);
        this.#missing.nodes -= piece.nodes.length;
        break;
      case "constants": {
        const decoder = new Decoder(this.#nodes, this.#sources ?? [], this.#builtins);
        for (const image of piece.constants) this.#begun.constant(decoder.constant(image));
        this.#missing.constants -= piece.constants.length;
        break;
      }
      case "script":
        this.#begun.script(Js.generated(piece.text));
        this.#missing.scripts--;
        break;
    }
  }

  query({ text, sources, constants }: QueryImage): GeneratedQuery {
    const decoder = new Decoder(this.#nodes, sources.map(sourceOf), this.#builtins);
    const code = { source: Js.generated(text), constants: constants.map((image) => decoder.constant(image)) };
    return loadQuery(code, this.#begun.links);
  }

  /** @throws {TypeError} when pieces are missing: none of what was loaded may run then */
  finish(): void {
    const [root] = this.#nodes;
    const { nodes, constants, scripts } = this.#missing;
    if (root === undefined || this.#sources === undefined || nodes !== 0 || constants !== 0 || scripts !== 0)
      throw incomplete();
    const groups = this.#nodes.flatMap(({ group }) => group ?? []);
    bindDocuments({ root, groups }, this.#begun.links.functions);
  }

  get #begun(): ProgramLoader {
    if (this.#program === undefined) throw incomplete();
    return this.#program;
  }

  /** A node again; its group has no rules, as their code is generated. */
  #add({ key, parent, group }: NodeImage): void {
    const isRoot = this.#nodes.length === 0;
    const node = isRoot ? new Node([]) : this.#nodes[parent]?.makeChild(valueOf(key));
    if (node === undefined) throw incomplete();
    if (group !== undefined) node.group = { ...group, node, rules: [], arity: 0 };
    this.#nodes.push(node);
  }
}

function incomplete(): TypeError {
  return new TypeError("the image of a program is not complete");
}

function sourceOf({ name, text }: SourceImage): Source {
  return new Source(name, text);
}

class Decoder {
  readonly #nodes: readonly Node[];
  readonly #sources: readonly Source[];
  readonly #builtins: ReadonlyMap<string, CallableBuiltin>;

  constructor(nodes: readonly Node[], sources: readonly Source[], builtins: ReadonlyMap<string, CallableBuiltin>) {
    this.#nodes = nodes;
    this.#sources = sources;
    this.#builtins = builtins;
  }

  constant(image: ConstantImage): Constant {
    switch (image.kind) {
      case "value":
        return { kind: "value", value: valueOf(image.value) };
      case "location":
        return { kind: "location", at: this.#location(image.at, 0) };
      case "locations": {
        const count = image.list.length / LOCATION_SIZE;
        return { kind: "locations", list: Array.from({ length: count }, (_, i) => this.#location(image.list, i)) };
      }
      case "node":
        return { kind: "node", node: this.#nodes[image.node] as Node };
      case "index":
        return { kind: "index", index: indexOf(image.index) };
      case "builtin": {
        const builtin = this.#builtins.get(image.name);
        if (builtin === undefined) throw new TypeError(`unknown function ${image.name}`);
        return { kind: "builtin", builtin };
      }
      case "group":
        return image;
    }
  }

  #location(numbers: Int32Array, i: number): Location {
    const at = (field: number): number => numbers[i * LOCATION_SIZE + field] as number;
    return { source: this.#sources[at(0)] as Source, row: at(1), col: at(2), offset: at(3), end: at(4) };
  }
}

function valueOf(image: ValueImage): Value {
  if (typeof image !== "object" || image === null) return image;
  if (Array.isArray(image)) return (image as readonly ValueImage[]).map(valueOf);
  if ("number" in image) return new RegoNumber(image.number);
  if ("set" in image) return RegoSet.of(image.set.map(valueOf));
  if ("object" in image)
    return RegoObject.of(image.object.map(([key, value]) => [valueOf(key), valueOf(value)] as const));
  const object: Record<string, Value> = {};
  for (const [key, value] of (image as Extract<ValueImage, { json: unknown }>).json)
    setOwn(object, key, valueOf(value));
  return object;
}

function indexOf(image: IndexImage): RuleIndex {
  if (typeof image === "number") return { always: [image], test: undefined };
  return { always: image.always, test: image.test === undefined ? undefined : testOf(image.test) };
}

function testOf({ reference, strings, others, prefixes, rest }: TestImage): IndexTest {
  return {
    reference,
    strings: mapOf(strings, indexOf),
    others: mapOf(others, indexOf),
    prefixes: mapOf(prefixes, (byText) => mapOf(byText, indexOf)),
    rest: rest === undefined ? undefined : indexOf(rest),
  };
}

function mapOf<K, I, V>({ keys, values }: MapImage<K, I>, valueOfImage: (image: I) => V): ReadonlyMap<K, V> {
  return new Map(keys.map((key, i) => [key, valueOfImage(values[i] as I)] as const));
}
