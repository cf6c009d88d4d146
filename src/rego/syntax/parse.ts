import { finish, type Location, Source, type Steps } from "../../base/index.ts";
import type { Body, Diagnostic, Expr, RefTerm, Term } from "./ast.ts";
import { tokenize } from "./lexer.ts";
import {
  DEFAULT_ALLOWED_KEYWORDS,
  DEFAULT_FEATURES,
  MAX_SOURCE_LENGTH,
  type ParsedStatements,
  Parser,
  type Statement,
} from "./parser.ts";
import { bodyToText, termToText } from "./text.ts";
import { ALL_FUTURE_KEYWORDS, V1_KEYWORDS } from "./tokens.ts";

export type ParseResult<T> =
  | { readonly value: T; readonly diagnostics?: undefined }
  | { readonly value?: undefined; readonly diagnostics: readonly Diagnostic[] };

export interface LanguageOptions {
  /** The language a module is written in, unless it says otherwise by `import rego.v1`. Default v1. */
  readonly version?: "v0" | "v1" | undefined;
  /** Keywords active without an import, such as `["in", "not"]`; `"*"` stands for all that are allowed. */
  readonly futureKeywords?: readonly string[] | undefined;
  /** Capabilities: language features. Default: all of v1, and v0's without template strings. */
  readonly features?: readonly string[] | undefined;
  /** Capabilities: the keywords that `import future.keywords.…` may activate. Default all. */
  readonly allowedKeywords?: readonly string[] | undefined;
}

export interface QueryOptions extends LanguageOptions {
  /** Name of the query's text in diagnostics. */
  readonly file?: string | undefined;
}

type Settled =
  | { readonly statements: ParsedStatements; readonly diagnostics?: undefined }
  | { readonly diagnostics: readonly Diagnostic[] };

/** Reads an ad-hoc query: the literals of a body. An empty query is an empty body. */
export function parseQuery(text: string, options: QueryOptions = {}): ParseResult<Body> {
  const parsed = finish(parseStatements(new Source(options.file ?? "", text), options, true));
  if (parsed.diagnostics !== undefined) return { diagnostics: parsed.diagnostics };
  const body: Expr[] = [];
  for (const statement of parsed.statements.statements) {
    if (statement.kind !== "body") {
      return failure(placeOfStatement(statement), `expected body but got ${statement.kind}`);
    }
    for (const expr of statement.body) body.push({ ...expr, index: body.length });
  }
  return { value: body };
}

/** Reads one term, such as a constant or a reference. */
export function parseTerm(text: string, options: QueryOptions = {}): ParseResult<Term> {
  const parsed = parseQuery(text, options);
  if (parsed.diagnostics !== undefined) return parsed;
  const [only, ...rest] = parsed.value;
  if (only === undefined || rest.length > 0) {
    return failure(only?.at, `expected exactly one term but got: ${bodyToText(parsed.value)}`);
  }
  if (only.form.kind === "term") return { value: only.form.term };
  return failure(only.at, `expected term but got ${bodyToText(parsed.value)}`);
}

/** Reads one reference, such as `data.a[x]`. */
export function parseRef(text: string, options: QueryOptions = {}): ParseResult<RefTerm> {
  const parsed = parseTerm(text, options);
  if (parsed.diagnostics !== undefined) return parsed;
  if (parsed.value.kind === "ref") return { value: parsed.value };
  return failure(parsed.value.at, `expected ref but got ${termToText(parsed.value)}`);
}

export function failure(at: Location | undefined, message: string): { readonly diagnostics: readonly Diagnostic[] } {
  return { diagnostics: [{ code: "rego_parse_error", message, at }] };
}

/** Reads the statements of a text, before they are made into anything. */
export function* parseStatements(source: Source, options: LanguageOptions, skipRules: boolean): Steps<Settled> {
  if (source.text.length > MAX_SOURCE_LENGTH) {
    return failure(undefined, `source is longer than ${MAX_SOURCE_LENGTH} characters`);
  }
  const version = options.version ?? "v1";
  const features = new Set(options.features ?? DEFAULT_FEATURES[version]);
  if (version === "v1" && !features.has("rego_v1")) {
    return failure(undefined, "illegal capabilities: rego_v1 feature required for parsing v1 Rego");
  }
  const allowed = new Set(options.allowedKeywords ?? DEFAULT_ALLOWED_KEYWORDS);
  for (const word of allowed) {
    if (!(ALL_FUTURE_KEYWORDS as readonly string[]).includes(word)) {
      return failure(undefined, `illegal capabilities: unknown keyword: ${word}`);
    }
  }
  if (features.has("rego_v1")) for (const word of V1_KEYWORDS) allowed.add(word);
  let futureKeywords = options.futureKeywords ?? [];
  if (futureKeywords.includes("*")) futureKeywords = [...allowed];
  const unknown = futureKeywords.find((word) => !allowed.has(word));
  if (unknown !== undefined) return failure(undefined, `unknown future keyword: ${unknown}`);
  const parser = new Parser(source, yield* tokenize(source), {
    version,
    futureKeywords,
    allowedKeywords: [...allowed],
    features,
    skipRules,
  });
  const statements = yield* runParser(parser);
  if (statements === undefined) return failure(undefined, "max parsing recursion depth exceeded");
  return statements.errors.length > 0 ? { diagnostics: statements.errors } : { statements };
}

/** The depth limit fits a whole stack; a caller deep inside of its own may have little of it left. */
function* runParser(parser: Parser): Steps<ParsedStatements | undefined> {
  try {
    return yield* parser.parse();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

export function placeOfStatement(statement: Statement): Location | undefined {
  switch (statement.kind) {
    case "package":
      return statement.package.at;
    case "import":
      return statement.import.at;
    case "rule":
      return statement.rule.at;
    case "body":
      return statement.body[0]?.at;
  }
}
