import { nearest } from "./fields.ts";

/** Kinds by API version: what Cardea reads. */
export const API_KINDS: ReadonlyMap<string, readonly string[]> = new Map([
  ["security.istio.io/v1", ["AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication"]],
  ["security.istio.io/v1beta1", ["AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication"]],
  ["cardea.dev/v1alpha1", ["Schedule", "RateLimit"]],
]);

const VERSIONS = [...API_KINDS.keys()];
const GROUPS = ["security.istio.io", "cardea.dev"];
const ISTIO_KINDS = API_KINDS.get("security.istio.io/v1") as readonly string[];
const KINDS = [...new Set([...API_KINDS.values()].flat())];

/** The API version to write for a kind of ours; undefined for others. */
export function versionOfKind(kind: string): string | undefined {
  return VERSIONS.find((version) => API_KINDS.get(version)?.includes(kind) === true);
}

export function isOurGroup(apiVersion: string): boolean {
  return GROUPS.includes(apiVersion.split("/")[0] as string);
}

/** Is it a kind or version of ours, but for a slip of the pen? */
export function isMisspelt(apiVersion: string, kind: string): boolean {
  const group = apiVersion.split("/")[0] as string;
  return nearest(kind, KINDS) !== undefined && nearest(group, GROUPS) !== undefined;
}

/** Nothing in a text without one of these words can be the head of a document. */
const HEAD_WORDS = /\b(?:apiVersion|kind)\b/i;
const OUR_GROUPS = /["']?apiVersion["']?\s*:\s*["']?(?:security\.istio\.io|cardea\.dev)\//;

/**
 * Does a YAML or JSON file hold policies, rather than data? It does if the head of one of its documents, `apiVersion`
 * and `kind`, says so, misspelt or not: a policy that is taken for data protects nothing. What stands deeper in a
 * document is data. The text may be malformed: the reader will say where.
 */
export function holdsPolicies(text: string): boolean {
  if (!HEAD_WORDS.test(text)) return false;
  for (const [start, end] of splitDocuments(text)) {
    const head = headOf(text.slice(start, end));
    if (isPolicyHead(head)) return true;
    if (head.has("items") && OUR_GROUPS.test(text.slice(start, end))) return true;
  }
  return false;
}

function isPolicyHead(head: ReadonlyMap<string, string>): boolean {
  const apiVersion = head.get("apiversion") ?? "";
  const kind = head.get("kind") ?? "";
  if (isOurGroup(apiVersion) || ISTIO_KINDS.includes(kind) || isMisspelt(apiVersion, kind)) return true;
  // These words are others' too: the document must look like one of Kubernetes'.
  return KINDS.includes(kind) && (apiVersion !== "" || head.has("spec") || head.has("metadata"));
}

/**
 * Spans between document markers. A marker at the start of a line ends a document wherever it stands, block scalars
 * included (YAML 1.2.2, 9.1.4), so a search by line is enough. What follows `---` on its line belongs to the document.
 */
export function* splitDocuments(text: string): Generator<readonly [number, number]> {
  let start = text.startsWith("\uFEFF") ? 1 : 0;
  for (const marker of text.matchAll(/^(?:---|\.\.\.)(?=[ \t\r\n]|$(?![\s\S]))/gm)) {
    yield [start, marker.index];
    start = marker.index + 3;
  }
  yield [start, text.length];
}

const HEAD_KEYS = new Set(["apiversion", "kind", "spec", "metadata", "items"]);
/** Blank lines, comments, directives, and a tag or anchor in front of the document. */
const PREAMBLE = /^(?:\s|#[^\n]*|%[^\n]*\n|[!&][^\s{[]*(?=\s))*/;

/** The members that matter of a document's outermost mapping, by lower-case key; the text of plain and quoted values. */
function headOf(text: string): ReadonlyMap<string, string> {
  const first = (PREAMBLE.exec(text) as RegExpExecArray)[0].length;
  if (text[first] === "{") return flowHead(text, first);
  const column = first - (text.lastIndexOf("\n", first - 1) + 1);
  return blockHead(text, column);
}

const BLOCK_MEMBER = /^( *)(?:"(\w+)"|'(\w+)'|(\w+))[ \t]*:(?:[ \t]+(.*))?$/gm;

function blockHead(text: string, column: number): ReadonlyMap<string, string> {
  const head = new Map<string, string>();
  for (const [, indent = "", double, single, plain, rest = ""] of text.matchAll(BLOCK_MEMBER)) {
    const key = (double ?? single ?? plain ?? "").toLowerCase();
    if (indent.length === column && HEAD_KEYS.has(key) && !head.has(key)) head.set(key, scalarText(rest));
  }
  return head;
}

function scalarText(rest: string): string {
  const quoted = /^(?:"([^"]*)"|'([^']*)')/.exec(rest);
  return quoted === null ? rest.replace(/[ \t]#.*$/, "").trim() : (quoted[1] ?? quoted[2] ?? "");
}

/** JSON, or YAML's flow style: strings are skipped as wholes, so that only keys of the outermost mapping are met. */
function flowHead(text: string, start: number): ReadonlyMap<string, string> {
  const head = new Map<string, string>();
  let depth = 0;
  let key = "";
  let isKey = false;
  for (let i = start; i < text.length; i++) {
    const char = text[i] as string;
    if (char === "{" || char === "[") {
      depth++;
      isKey = depth === 1;
      if (depth === 2 && HEAD_KEYS.has(key)) head.set(key, "");
    } else if (char === "}" || char === "]") {
      depth--;
      if (depth === 0) break;
    } else if (char === ",") isKey = depth === 1;
    else if (char === ":" || char <= " ") continue;
    else if (char === "#" && /\s/.test(text[i - 1] ?? "")) i = endOf(text.indexOf("\n", i), text);
    else {
      const isQuoted = char === '"' || char === "'";
      const end = isQuoted ? endOfQuoted(text, i) : endOfPlain(text, i);
      if (depth === 1) {
        const token = isQuoted ? text.slice(i + 1, end) : text.slice(i, end + 1).trim();
        if (isKey) key = token.toLowerCase();
        else if (HEAD_KEYS.has(key)) head.set(key, token);
        isKey = false;
      }
      i = end;
    }
  }
  return head;
}

/** The closing quote, or the end of the text. */
function endOfQuoted(text: string, start: number): number {
  const quote = text[start] as string;
  for (let end = text.indexOf(quote, start + 1); end !== -1; end = text.indexOf(quote, end + 1)) {
    if (quote === "'") {
      if (text[end + 1] !== quote) return end;
      end++;
      continue;
    }
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

const PLAIN = /(?:[^,{}[\]\n:]|:(?![\s,{}[\]]|$))+/y;

/** The last character of a plain scalar in flow style. */
function endOfPlain(text: string, start: number): number {
  PLAIN.lastIndex = start;
  return start + Math.max(1, PLAIN.exec(text)?.[0].length ?? 1) - 1;
}

function endOf(at: number, text: string): number {
  return at === -1 ? text.length : at;
}
