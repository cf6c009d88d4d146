import { mapInSteps, type Steps } from "../base/index.ts";
import type { TokenDocument } from "../istio/index.ts";
import type { JsonObject } from "../rego/value/index.ts";
import { DocumentBuilder, type DocumentPiece, piecesOf } from "./document-pieces.ts";
import type { Lowered } from "./lowered.ts";

/** What was lowered, as messages each of which is read in little time. */
export type LoweredPiece =
  | DocumentPiece
  /** The last, after so many others. */
  | { readonly kind: "end"; readonly count: number };

/** The same as a JSON document: without maps and sets. */
interface Handed extends Omit<Lowered, "tokenDocuments" | "schedulesAsked"> {
  readonly tokenDocuments: readonly HandedTokenDocument[];
  readonly schedulesAsked: readonly (readonly [namespace: string, names: readonly string[]])[];
}

interface HandedTokenDocument extends Omit<TokenDocument, "attachment"> {
  readonly attachment: Omit<TokenDocument["attachment"], "selector">;
  readonly selector: readonly (readonly [label: string, value: string])[];
}

export function* piecesOfLowered(lowered: Lowered): Generator<LoweredPiece> {
  const handed: Handed = {
    ...lowered,
    tokenDocuments: lowered.tokenDocuments.map(({ attachment: { selector, ...attachment }, ...document }) => ({
      ...document,
      attachment,
      selector: [...selector],
    })),
    schedulesAsked: [...lowered.schedulesAsked].map(([namespace, names]) => [namespace, [...names]]),
  };
  let count = 0;
  for (const piece of piecesOf(handed as unknown as JsonObject)) {
    yield piece;
    count++;
  }
  yield { kind: "end", count };
}

/** @throws {TypeError} when a piece is missing: tables without some of their policies would let in whom those deny. */
export function* loweredOf(pieces: Iterable<LoweredPiece>): Steps<Lowered> {
  const builder = new DocumentBuilder();
  let count = 0;
  for (const piece of pieces) {
    if (piece.kind === "end") {
      if (piece.count !== count) break;
      return yield* received(builder.document as unknown as Handed);
    }
    builder.take(piece);
    count++;
    yield;
  }
  throw new TypeError("what was lowered is not complete");
}

function* received({ tokenDocuments, schedulesAsked, ...rest }: Handed): Steps<Lowered> {
  return {
    ...rest,
    tokenDocuments: yield* mapInSteps(tokenDocuments, ({ selector, attachment, ...document }) => ({
      ...document,
      attachment: { ...attachment, selector: new Map(selector) },
    })),
    schedulesAsked: new Map(schedulesAsked.map(([namespace, names]) => [namespace, new Set(names)])),
  };
}
