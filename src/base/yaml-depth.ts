import { Lexer } from "yaml";

/** Collections in each other that YAML may have. Readers recurse, and V8 gives up the process where a stack ends inside of a RegExp. */
const MAX_YAML_DEPTH = 200;

/** Whether a text nests deeper than the readers of YAML can take. Does not recurse itself. */
export function isYamlTooDeep(text: string): boolean {
  if (!mayBeDeep(text)) return false;
  /** Columns at which the open block collections stand. */
  const columns: number[] = [];
  let flow = 0;
  let column = 0;
  let fresh = true;
  let isScalar = false;
  for (const token of new Lexer().lex(text)) {
    if (token === SCALAR || token === DOCUMENT) {
      isScalar = token === SCALAR;
      if (token === DOCUMENT) columns.length = 0;
      continue;
    }
    const indicator = !isScalar && (token === "-" || token === "?");
    if (!isScalar && (token === "[" || token === "{")) flow++;
    else if (!isScalar && (token === "]" || token === "}")) flow = Math.max(flow - 1, 0);
    if (token.trim() !== "" && flow === 0 && (fresh || indicator)) {
      while ((columns.at(-1) ?? -1) > column) columns.pop();
      if (columns.at(-1) !== column) columns.push(column);
      fresh = indicator;
    }
    if (columns.length + flow > MAX_YAML_DEPTH) return true;
    const newline = token.lastIndexOf("\n");
    column = newline === -1 ? column + token.length : token.length - newline - 1;
    if (newline !== -1) fresh = true;
    isScalar = false;
  }
  return false;
}

/** What the lexer puts before a scalar, and before a document. */
const SCALAR = "\u001f";
const DOCUMENT = "\u0002";

/** A quick look that most texts pass: few brackets, and no line that begins far to the right. */
function mayBeDeep(text: string): boolean {
  let brackets = 0;
  let leading = 0;
  let isLeading = true;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x5b: // [
      case 0x7b: // {
        isLeading = false;
        if (++brackets > MAX_YAML_DEPTH / 2) return true;
        break;
      case 0x0a:
        isLeading = true;
        leading = 0;
        break;
      case 0x20:
      case 0x09:
      case 0x2d: // -
      case 0x3f: // ?
        if (isLeading && ++leading > MAX_YAML_DEPTH / 2) return true;
        break;
      default:
        isLeading = false;
    }
  }
  return false;
}
