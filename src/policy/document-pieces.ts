import { isJsonObject, type JsonObject, setOwn, type Value } from "../rego/value/index.ts";

/**
 * A part of a large document. An object or array is opened at its path, and members are added to it in their order. Members
 * are JSON text, which is read in half the time of a structured clone.
 */
export type DocumentPiece =
  | { readonly kind: "open"; readonly at: readonly string[]; readonly isArray: boolean }
  | { readonly kind: "members"; readonly at: readonly string[]; readonly text: string };

/** Reading so much takes some tenths of a millisecond. */
const PIECE_LENGTH = 8 * 1024;

/** A document as pieces, none much longer than asked for unless a single string is. */
export function piecesOf(document: JsonObject, length = PIECE_LENGTH): Generator<DocumentPiece> {
  return piecesAt([], document, length);
}

function* piecesAt(
  at: readonly string[],
  container: JsonObject | readonly Value[],
  length: number,
): Generator<DocumentPiece> {
  const isArray = Array.isArray(container);
  yield { kind: "open", at, isArray };
  let members: string[] = [];
  let held = 0;
  const take = (): DocumentPiece => {
    const text = isArray ? `[${members.join(",")}]` : `{${members.join(",")}}`;
    members = [];
    held = 0;
    return { kind: "members", at, text };
  };
  for (const [key, member] of Object.entries(container) as [string, Value][]) {
    if ((Array.isArray(member) || isJsonObject(member)) && lengthOf(member, length) > length) {
      if (held > 0) yield take();
      yield* piecesAt([...at, key], member, length);
      continue;
    }
    const text = JSON.stringify(member);
    const entry = isArray ? text : `${JSON.stringify(key)}:${text}`;
    members.push(entry);
    held += entry.length;
    if (held > length) yield take();
  }
  if (held > 0) yield take();
}

/** About the length of a value's text, counted no further than to where it is too long. */
function lengthOf(value: Value, most: number): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 4;
  let length = 2;
  for (const key in value) {
    if (length > most) break;
    length += key.length + lengthOf((value as JsonObject)[key] as Value, most - length);
  }
  return length;
}

/** Makes a document of its pieces, taken in their order. */
export class DocumentBuilder {
  readonly #root: { [key: string]: Value } = {};

  /** @throws {TypeError} for a piece of something that was not opened */
  take(piece: DocumentPiece): void {
    if (piece.kind === "members") {
      const members = JSON.parse(piece.text) as JsonObject | Value[];
      const target = this.#at(piece.at);
      if (Array.isArray(target)) target.push(...(members as Value[]));
      else for (const key of Object.keys(members)) setOwn(target, key, (members as JsonObject)[key] as Value);
      return;
    }
    const name = piece.at.at(-1);
    if (name === undefined) return;
    const parent = this.#at(piece.at.slice(0, -1));
    const opened = piece.isArray ? [] : {};
    if (Array.isArray(parent)) parent.push(opened);
    else setOwn(parent, name, opened);
  }

  /** What the pieces so far make. */
  get document(): JsonObject {
    return this.#root;
  }

  #at(path: readonly string[]): Value[] | Record<string, Value> {
    let target: Value = this.#root;
    for (const key of path) {
      const next: Value | undefined = Object.hasOwn(target as object, key)
        ? (target as Record<string, Value>)[key]
        : undefined;
      if (typeof next !== "object" || next === null) throw new TypeError(`nothing was opened at ${path.join("/")}`);
      target = next;
    }
    return target as Value[] | Record<string, Value>;
  }
}
