/** Token kinds are named as OPA prints them in messages; set operators keep their sign, since `and` and `or` are also keywords. */
export type TokenKind =
  | "illegal"
  | "eof"
  | "whitespace"
  | "identifier"
  | "number"
  | "string"
  | "template-string-part"
  | "template-string-end"
  | "raw-template-string-part"
  | "raw-template-string-end"
  | "["
  | "]"
  | "{"
  | "}"
  | "("
  | ")"
  | ","
  | ":"
  | "."
  | ";"
  | "plus"
  | "minus"
  | "mul"
  | "div"
  | "rem"
  | "&"
  | "|"
  | "eq"
  | "equal"
  | "assign"
  | "neq"
  | "gt"
  | "lt"
  | "gte"
  | "lte"
  | Keyword;

export type Keyword =
  | "package"
  | "import"
  | "as"
  | "default"
  | "else"
  | "not"
  | "some"
  | "with"
  | "null"
  | "true"
  | "false"
  | "in"
  | "every"
  | "contains"
  | "if"
  | "and"
  | "or";

/** Reserved in every version of the language. */
export const BASE_KEYWORDS: readonly Keyword[] = [
  "package",
  "import",
  "as",
  "default",
  "else",
  "not",
  "some",
  "with",
  "null",
  "true",
  "false",
];

/** Importable in v0, part of the language in v1. */
export const V1_KEYWORDS: readonly Keyword[] = ["in", "every", "contains", "if"];

/** Importable in every version; `not` then means the improved negation. */
export const FUTURE_KEYWORDS: readonly Keyword[] = ["not", "and", "or"];

export const ALL_FUTURE_KEYWORDS: readonly Keyword[] = [...V1_KEYWORDS, ...FUTURE_KEYWORDS];

const V0_RESERVED: ReadonlySet<string> = new Set(BASE_KEYWORDS);
const V1_RESERVED: ReadonlySet<string> = new Set([...BASE_KEYWORDS, ...V1_KEYWORDS]);
const KEYWORD_KINDS: ReadonlySet<string> = new Set([...BASE_KEYWORDS, ...ALL_FUTURE_KEYWORDS]);

export function isReserved(word: string, version: "v0" | "v1"): boolean {
  return (version === "v0" ? V0_RESERVED : V1_RESERVED).has(word);
}

/** Whether messages call this kind a keyword rather than a token. */
export function isKeywordKind(kind: TokenKind): kind is Keyword {
  return KEYWORD_KINDS.has(kind);
}

/** The kind's name in messages, and the name of the function an operator calls. */
export function displayName(kind: TokenKind): string {
  if (kind === "&") return "and";
  return kind === "|" ? "or" : kind;
}
