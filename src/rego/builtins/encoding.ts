import {
  Base64Error,
  decodeBase64,
  decodeBase64Url,
  decodeHex,
  encodeBase64,
  encodeBase64Url,
  encodeHex,
  fromUtf8,
  HexError,
  toUtf8,
} from "../../base/index.ts";
import { type BuiltinContext, BuiltinError, OperandError } from "../runtime/index.ts";
import {
  entriesOf,
  getKey,
  isArray,
  isSet,
  JsonSyntaxError,
  type ObjectValue,
  quoteGo,
  recordOf,
  sortedKeys,
  toJsonText,
  toRegoText,
  typeName,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, type Operand, operands, result, types } from "./define.ts";
import { type JsonLayout, marshalJson, unmarshalJson } from "./go-json.ts";
import { encodeValues, parseQuery, queryEscape, queryUnescape, UrlError } from "./go-url.ts";
import { checkTextSize } from "./operands.ts";
import { unmarshalYaml, YamlError } from "./yaml-reader.ts";
import { marshalYaml } from "./yaml-writer.ts";

/** Runs a codec; its own errors become the builtin's. */
function coded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (
      error instanceof Base64Error ||
      error instanceof HexError ||
      error instanceof JsonSyntaxError ||
      error instanceof UrlError ||
      error instanceof YamlError
    ) {
      throw new BuiltinError(error.message, { cause: error });
    }
    throw error;
  }
}

/** Declared a string, but what is none is just not valid. */
const maybeString: Operand<Value> = operands.of<Value>(types.string);

function codec(
  name: string,
  about: string,
  returns: Builtin["result"],
  convert: (context: BuiltinContext, text: string) => Value,
): Builtin {
  return defineBuiltin({
    name,
    category: "encoding",
    about,
    args: [arg("x", operands.string, "the text")],
    ...(returns !== undefined && { result: returns }),
    call: (context, text) => {
      context.spend(text.length >> 6);
      return coded(() => convert(context, text));
    },
  });
}

function encoder(name: string, about: string, convert: (text: string) => string): Builtin {
  return codec(name, about, result("y", types.string, "the outcome"), (_context, text) => {
    const converted = convert(text);
    checkTextSize(converted.length);
    return converted;
  });
}

function validity(name: string, what: string, read: (context: BuiltinContext, text: string) => unknown): Builtin {
  return defineBuiltin({
    name,
    category: "encoding",
    about: `Whether a value is a string that holds valid ${what}.`,
    args: [arg("x", maybeString, "the text")],
    result: result("result", types.boolean, "whether it is valid"),
    call: (context, text) => {
      if (typeof text !== "string") return false;
      context.spend(text.length >> 6);
      try {
        coded(() => read(context, text));
        return true;
      } catch (error) {
        if (error instanceof BuiltinError) return false;
        throw error;
      }
    },
  });
}

/** The options of `json.marshal_with_options`; undefined: compact. @source OPA v1/topdown/encoding.go */
function layoutOf(options: ObjectValue): JsonLayout | undefined {
  let prefix = "";
  let indent = "\t";
  let implied = false;
  let declared: boolean | undefined;
  sortedKeys(options).forEach((key, i) => {
    const value = getKey(options, key) as Value;
    const text = (): string => {
      if (typeof value === "string") return value;
      const cause = `operand ${i} must be string but got ${typeName(value)}`;
      throw new OperandError(2, `key ${toRegoText(key)} failed cast to string: ${cause}`);
    };
    switch (key) {
      case "prefix":
        prefix = text();
        implied = true;
        return;
      case "indent":
        indent = text();
        implied = true;
        return;
      case "pretty":
        if (typeof value !== "boolean") throw new OperandError(2, `key ${toRegoText(key)} failed cast to bool`);
        declared = value;
        return;
      default:
        if (typeof key === "string") throw new OperandError(2, `object contained unknown key ${quoteGo(key)}`);
        throw new OperandError(
          2,
          `failed to stringify key ${toRegoText(key)} at index ${i}: operand ${i} must be string but got ${typeName(key)}`,
        );
    }
  });
  return (declared ?? implied) ? { prefix, indent } : undefined;
}

function valuesOf(object: ObjectValue): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, readonly string[]>();
  for (const [key, value] of entriesOf(object)) {
    const list = isArray(value) ? value : isSet(value) ? value.sorted() : [value];
    if (!list.every((text) => typeof text === "string")) {
      throw new OperandError(1, "values must be string, array[string], or set[string]");
    }
    values.set(typeof key === "string" ? key : toJsonText(key), list as readonly string[]);
  }
  return values;
}

const stringOrStrings = types.oneOf(types.string, types.array(types.string), types.set(types.string));
const jsonOptions = {
  ...types.record({ indent: types.string, prefix: types.string, pretty: types.boolean }),
  dynamic: { key: types.string, value: types.any },
};

export const encodingBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "json.marshal",
    category: "encoding",
    about: "A value as JSON text; sets become arrays.",
    args: [arg("x", operands.any, "the value")],
    result: result("y", types.string, "its JSON text"),
    call: (context, x) => marshalJson(x, undefined, (steps) => context.spend(steps)),
  }),
  defineBuiltin({
    name: "json.marshal_with_options",
    category: "encoding",
    about: "A value as JSON text, laid out as wanted.",
    args: [
      arg("x", operands.any, "the value"),
      arg(
        "opts",
        operands.of<ObjectValue>(jsonOptions, "object"),
        "`pretty`, `indent` (a tab by default) and `prefix` of every line",
      ),
    ],
    result: result("y", types.string, "its JSON text"),
    call: (context, x, options) => {
      const layout = layoutOf(options);
      const text = marshalJson(x, layout, (steps) => context.spend(steps));
      // MarshalIndent leaves out the prefix of the first line, OPA does not.
      return layout === undefined ? text : layout.prefix + text;
    },
  }),
  codec("json.unmarshal", "Reads JSON text.", result("y", types.any, "the document"), (_context, text) =>
    unmarshalJson(text),
  ),
  validity("json.is_valid", "JSON", (_context, text) => unmarshalJson(text)),
  encoder("base64.encode", "A text as base64 with padding.", (text) => encodeBase64(toUtf8(text))),
  encoder("base64.decode", "Reads base64 with padding.", (text) => fromUtf8(decodeBase64(text))),
  validity("base64.is_valid", "base64", (_context, text) => decodeBase64(text)),
  encoder("base64url.encode", "A text as URL-safe base64 with padding.", (text) =>
    encodeBase64(toUtf8(text)).replaceAll("+", "-").replaceAll("/", "_"),
  ),
  encoder("base64url.encode_no_pad", "A text as URL-safe base64 without padding.", (text) =>
    encodeBase64Url(toUtf8(text)),
  ),
  encoder("base64url.decode", "Reads URL-safe base64, with or without padding.", (text) =>
    fromUtf8(decodeBase64Url(text)),
  ),
  encoder("urlquery.decode", "Undoes the escapes of a URL query.", queryUnescape),
  encoder("urlquery.encode", "Escapes a text for a URL query.", queryEscape),
  defineBuiltin({
    name: "urlquery.encode_object",
    category: "encoding",
    about: "An object as a URL query, keys in order; arrays and sets repeat their key.",
    args: [
      arg("object", operands.of<ObjectValue>(types.object(types.string, stringOrStrings), "object"), "the parameters"),
    ],
    result: result("y", types.string, "the query"),
    call: (_context, object) => encodeValues(valuesOf(object)),
  }),
  defineBuiltin({
    name: "urlquery.decode_object",
    category: "encoding",
    about: "Reads a URL query.",
    args: [arg("x", operands.string, "the query")],
    result: result("object", types.object(types.string, types.array(types.string)), "each parameter's values"),
    call: (context, text) => {
      context.spend(text.length >> 6);
      return recordOf(coded(() => parseQuery(text)));
    },
  }),
  defineBuiltin({
    name: "yaml.marshal",
    category: "encoding",
    about: "A value as YAML text; sets become sequences.",
    args: [arg("x", operands.any, "the value")],
    result: result("y", types.string, "its YAML text"),
    call: (context, x) => coded(() => marshalYaml(x, (steps) => context.spend(steps))),
  }),
  codec("yaml.unmarshal", "Reads YAML text.", result("y", types.any, "the document"), (context, text) =>
    unmarshalYaml(text, (steps) => context.spend(steps)),
  ),
  validity("yaml.is_valid", "YAML", (context, text) => unmarshalYaml(text, (steps) => context.spend(steps))),
  encoder("hex.encode", "The bytes of a text as hex digits.", (text) => encodeHex(toUtf8(text))),
  encoder("hex.decode", "Reads bytes written as hex digits.", (text) => fromUtf8(decodeHex(text))),
];
