import { InputError } from "../errors.ts";
import { textOf } from "../go-text.ts";

export interface MediaType {
  /** Lower case. */
  readonly type: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+/;

/**
 * Reads `type/subtype; name=value; name="quoted"` as Go's mime.ParseMediaType does, extended parameters
 * (`name*=utf-8''…`) included.
 *
 * @throws {InputError} with Go's wording.
 */
export function parseMediaType(text: string): MediaType {
  const semicolon = text.indexOf(";");
  const type = (semicolon === -1 ? text : text.slice(0, semicolon)).trim().toLowerCase();
  checkType(type);
  const parameters = new Map<string, string>();
  let rest = semicolon === -1 ? "" : text.slice(semicolon);
  while (rest !== "") {
    rest = rest.trimStart();
    if (rest === "") break;
    const parameter = readParameter(rest);
    if (parameter === undefined) {
      if (rest.trim() === ";") break;
      throw new InputError("mime: invalid media parameter");
    }
    if (parameters.has(parameter.name) && parameters.get(parameter.name) !== parameter.value)
      throw new InputError("mime: duplicate parameter name");
    parameters.set(parameter.name, parameter.value);
    rest = parameter.rest;
  }
  return { type, parameters: joinContinuations(parameters) };
}

function checkType(type: string): void {
  const major = TOKEN.exec(type)?.[0];
  if (major === undefined) throw new InputError("mime: no media type");
  const rest = type.slice(major.length);
  if (rest === "") return;
  if (!rest.startsWith("/")) throw new InputError("mime: expected slash after first token");
  const minor = TOKEN.exec(rest.slice(1))?.[0];
  if (minor === undefined) throw new InputError("mime: expected token after slash");
  if (minor.length + 1 < rest.length) throw new InputError("mime: unexpected content after media subtype");
}

function readParameter(
  text: string,
): { readonly name: string; readonly value: string; readonly rest: string } | undefined {
  if (!text.startsWith(";")) return undefined;
  const afterSemicolon = text.slice(1).trimStart();
  const name = TOKEN.exec(afterSemicolon)?.[0];
  if (name === undefined) return undefined;
  const afterName = afterSemicolon.slice(name.length).trimStart();
  if (!afterName.startsWith("=")) return undefined;
  const afterEquals = afterName.slice(1).trimStart();
  const value = readValue(afterEquals);
  if (value === undefined) return undefined;
  return { name: name.toLowerCase(), ...value };
}

function readValue(text: string): { readonly value: string; readonly rest: string } | undefined {
  if (!text.startsWith('"')) {
    const token = TOKEN.exec(text)?.[0];
    return token === undefined ? undefined : { value: token, rest: text.slice(token.length) };
  }
  let value = "";
  for (let i = 1; i < text.length; i++) {
    const char = text[i] as string;
    if (char === '"') return { value, rest: text.slice(i + 1) };
    // Backslashes quote only special characters: browsers send Windows paths unquoted.
    if (char === "\\" && '()<>@,;:\\"/[]?='.includes(text[i + 1] ?? " ")) {
      value += text[++i] as string;
      continue;
    }
    if (char === "\r" || char === "\n") return undefined;
    value += char;
  }
  return undefined;
}

/** RFC 2231: `name*0`, `name*1*`, `name*=utf-8''…`. */
function joinContinuations(parameters: ReadonlyMap<string, string>): Map<string, string> {
  const joined = new Map<string, string>();
  const bases = new Set<string>();
  for (const [name, value] of parameters) {
    const star = name.indexOf("*");
    if (star === -1) joined.set(name, value);
    else bases.add(name.slice(0, star));
  }
  for (const base of bases) {
    const simple = parameters.get(`${base}*`);
    const decoded = simple === undefined ? pieces(parameters, base) : decodeExtended(simple);
    if (decoded !== undefined) joined.set(base, decoded);
  }
  return joined;
}

function pieces(parameters: ReadonlyMap<string, string>, base: string): string | undefined {
  let text = "";
  let count = 0;
  for (; ; count++) {
    const plain = parameters.get(`${base}*${count}`);
    const encoded = parameters.get(`${base}*${count}*`);
    if (plain !== undefined) text += plain;
    else if (encoded !== undefined) text += (count === 0 ? decodeExtended(encoded) : percentDecode(encoded)) ?? "";
    else break;
  }
  return count === 0 ? undefined : text;
}

function decodeExtended(value: string): string | undefined {
  const [charset, language, ...text] = value.split("'");
  if (charset === undefined || language === undefined || text.length === 0) return undefined;
  const name = charset.toLowerCase();
  return name === "utf-8" || name === "us-ascii" ? percentDecode(text.join("'")) : undefined;
}

function percentDecode(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  const bytes = Buffer.from(text, "utf8").toString("latin1");
  const decoded = bytes.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return textOf(Buffer.from(decoded, "latin1"));
}
