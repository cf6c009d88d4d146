import { importToText, type RefTerm, type Term, termToText } from "../syntax/index.ts";

/** A term as OPA's messages show it. */
export const termText: (term: Term) => string = termToText;

/** `import data.a.b as c` */
export const importText = importToText;

/** A ref by its parts: `data.a["b-c"][x]`. */
export function refText({ terms }: Pick<RefTerm, "terms">): string {
  const [head] = terms;
  return head === undefined ? "" : termToText({ kind: "ref", terms, at: head.at });
}
