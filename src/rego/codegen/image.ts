import { eachInSteps, type Location, mapInSteps, Source, type Steps } from "../../base/index.ts";
import type { IndexTest, RuleIndex } from "../runtime/index.ts";
import { isArray, RegoNumber, RegoObject, RegoSet, setOwn, type Value } from "../value/index.ts";
import { type DocumentTree, type Group, Node } from "./documents.ts";
import { Js } from "./js.ts";
import { load, materialised, newLinks } from "./load.ts";
import { bindDocuments, type GeneratedQuery, loadQuery, type ProgramCode, type QueryCode } from "./program.ts";
import type { CallableBuiltin, Constant } from "./unit.ts";

/** Generated code as plain data, for another thread of this process to load. Each piece takes it a millisecond or two. */
export type CodePiece =
  | { readonly kind: "documents"; readonly image: DocumentsImage }
  | { readonly kind: "sources"; readonly sources: readonly { readonly name: string; readonly text: string }[] }
  | { readonly kind: "constants"; readonly constants: readonly ConstantImage[] }
  | { readonly kind: "script"; readonly text: string };

/** The text of a query. */
export interface QueryImage {
  readonly text: string;
  readonly sources: readonly { readonly name: string; readonly text: string }[];
  readonly constants: readonly ConstantImage[];
}

/** Nodes before their children. */
interface DocumentsImage {
  readonly keys: readonly ValueImage[];
  /** Positions of the parents; the root has none. */
  readonly parents: Int32Array;
  readonly groups: readonly (Pick<Group, "id" | "kind" | "isKeyed"> | undefined)[];
  readonly tables: number;
  /** How many of each there are to come. */
  readonly constants: number;
  readonly scripts: number;
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

/** Constants of one piece. */
const PIECE = 64;
/** Source, row, column, offset, end. */
const LOCATION_SIZE = 5;

// ---- made ---------------------------------------------------------------------------------------------------------

export function* imageOfProgram(code: ProgramCode): Steps<readonly CodePiece[]> {
  const encoder = new Encoder(code.documents);
  const pieces: CodePiece[] = [{ kind: "documents", image: imageOfDocuments(encoder.nodes, code) }];
  const constants = yield* mapInSteps(code.constants, (constant) => encoder.constant(constant));
  pieces.push({ kind: "sources", sources: encoder.sources });
  for (let i = 0; i < constants.length; i += PIECE)
    pieces.push({ kind: "constants", constants: constants.slice(i, i + PIECE) });
  for (const { text } of code.scripts) pieces.push({ kind: "script", text });
  return pieces;
}

export function imageOfQuery({ source, constants }: QueryCode, documents: DocumentTree): QueryImage {
  const encoder = new Encoder(documents);
  const images = constants.map((constant) => encoder.constant(constant));
  return { text: source.text, sources: encoder.sources, constants: images };
}

class Encoder {
  readonly nodes: readonly Node[];
  readonly #nodeNumbers = new Map<Node, number>();
  readonly #sources = new Map<Source, number>();

  constructor({ root }: DocumentTree) {
    const visit = (node: Node): void => {
      this.#nodeNumbers.set(node, this.#nodeNumbers.size);
      for (const { node: child } of node.children) visit(child);
    };
    visit(root);
    this.nodes = [...this.#nodeNumbers.keys()];
  }

  get sources(): readonly { readonly name: string; readonly text: string }[] {
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
        return { kind: "node", node: this.#nodeNumbers.get(constant.node) as number };
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

function imageOfDocuments(nodes: readonly Node[], { tables, constants, scripts }: ProgramCode): DocumentsImage {
  const keys: ValueImage[] = [];
  const parents = new Int32Array(nodes.length);
  const groups: (Pick<Group, "id" | "kind" | "isKeyed"> | undefined)[] = [];
  const numbers = new Map(nodes.map((node, i) => [node, i] as const));
  for (const [i, node] of nodes.entries()) {
    keys[i] = imageOfValue(node.path.at(-1) ?? null);
    const { group } = node;
    groups.push(group === undefined ? undefined : { id: group.id, kind: group.kind, isKeyed: group.isKeyed });
    for (const { node: child } of node.children) parents[numbers.get(child) as number] = i;
  }
  return { keys, parents, groups, tables, constants: constants.length, scripts: scripts.length };
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

/** A program made of its image: it runs, and queries whose images there are run against it. */
export interface LoadedImage {
  readonly documents: DocumentTree;
  query(image: QueryImage): GeneratedQuery;
}

/**
 * Loads an image piece by piece, as they come.
 *
 * @throws {TypeError} when pieces are missing
 */
export function* loadImage(
  pieces: Iterable<CodePiece>,
  builtins: ReadonlyMap<string, CallableBuiltin>,
): Steps<LoadedImage> {
  let nodes: readonly Node[] = [];
  let links = newLinks(0);
  let sources: readonly Source[] | undefined;
  const constants: unknown[] = [];
  let missing = { constants: 0, scripts: 0 };
  for (const piece of pieces) {
    switch (piece.kind) {
      case "documents":
        nodes = yield* documentsOf(piece.image);
        links = newLinks(piece.image.tables);
        missing = { ...piece.image };
        break;
      case "sources":
        sources = sourcesOf(piece.sources);
        break;
      case "constants": {
        const decoder = new Decoder(nodes, sources ?? [], builtins);
        for (const image of piece.constants) constants.push(materialised(decoder.constant(image)));
        missing.constants -= piece.constants.length;
        break;
      }
      case "script":
        load(Js.generated(piece.text), constants, links);
        missing.scripts--;
        break;
    }
    yield;
  }
  if (nodes.length === 0 || sources === undefined || missing.constants !== 0 || missing.scripts !== 0)
    throw new TypeError("the image of a program is not complete");
  const groups = nodes.flatMap(({ group }) => group ?? []);
  const documents: DocumentTree = { root: nodes[0] as Node, groups };
  bindDocuments(documents, links.functions);
  return {
    documents,
    query: (image) => {
      const decoder = new Decoder(nodes, sourcesOf(image.sources), builtins);
      const code = { source: Js.generated(image.text), constants: image.constants.map((one) => decoder.constant(one)) };
      return loadQuery(code, links);
    },
  };
}

function sourcesOf(sources: readonly { readonly name: string; readonly text: string }[]): readonly Source[] {
  return sources.map(({ name, text }) => new Source(name, text));
}

/** The tree again; its groups have no rules, as their code is generated. */
function* documentsOf({ keys, parents, groups }: DocumentsImage): Steps<readonly Node[]> {
  const nodes: Node[] = [];
  yield* eachInSteps(keys, (key) => {
    const i = nodes.length;
    const node = i === 0 ? new Node([]) : (nodes[parents[i] as number] as Node).makeChild(valueOf(key));
    const group = groups[i];
    if (group !== undefined) node.group = { ...group, node, rules: [], arity: 0 };
    nodes.push(node);
  });
  return nodes;
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
