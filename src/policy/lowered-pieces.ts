import type { Steps } from "../base/index.ts";
import type { TokenDocument } from "../istio/index.ts";
import { DocumentBuilder, type DocumentPiece, piecesOf } from "./document-pieces.ts";
import type { Lowered } from "./lowered.ts";

/** What was lowered, as messages each of which is read in little time. The last one says that none is missing. */
export type LoweredPiece =
  | { readonly kind: "tables"; readonly piece: DocumentPiece }
  | { readonly kind: "tokens"; readonly documents: readonly TokenDocument[] }
  | { readonly kind: "end"; readonly rest: Omit<Lowered, "tables" | "tokenDocuments"> };

/** Documents with key sets in them may be long. */
const TOKEN_DOCUMENTS = 8;

export function* piecesOfLowered({ tables, tokenDocuments, ...rest }: Lowered): Generator<LoweredPiece> {
  for (const piece of piecesOf(tables)) yield { kind: "tables", piece };
  for (let i = 0; i < tokenDocuments.length; i += TOKEN_DOCUMENTS)
    yield { kind: "tokens", documents: tokenDocuments.slice(i, i + TOKEN_DOCUMENTS) };
  yield { kind: "end", rest };
}

/** @throws {TypeError} when pieces are missing: tables without some of their policies would let in whom those deny. */
export function* loweredOf(pieces: Iterable<LoweredPiece>): Steps<Lowered> {
  const tables = new DocumentBuilder();
  const tokenDocuments: TokenDocument[] = [];
  for (const piece of pieces) {
    if (piece.kind === "end") return { ...piece.rest, tables: tables.document, tokenDocuments };
    if (piece.kind === "tables") tables.take(piece.piece);
    else tokenDocuments.push(...piece.documents);
    yield;
  }
  throw new TypeError("what was lowered is not complete");
}
