import { fromUtf8, toUtf8 } from "../../base/index.ts";
import { BuiltinError } from "../runtime/index.ts";
import {
  compareStrings,
  entriesOf,
  isArray,
  isNumber,
  isObject,
  isSet,
  numberText,
  type ObjectValue,
  toJsonText,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import {
  GoInt,
  GoJsonNumber,
  goSprint,
  goSprintf,
  goSprintln,
  goTypeName,
  type GoValue,
  sortedMapKeys,
} from "./go-format.ts";
import { queryEscape } from "./go-url.ts";
import { checkTextSize } from "./operands.ts";
import { TemplateError } from "./template-lexer.ts";
import { type CommandNode, type Node, type OperandNode, type PipeNode, parseTemplate } from "./template-parser.ts";

/** Undefined is Go's invalid value: nothing was there. Null is a nil interface. */
type Result = GoValue | undefined;

/** Templates that call each other deeper than this are stopped; Go allows more, on a growing stack. */
const MAX_DEPTH = 200;

/** Why a function refuses its arguments; the runner adds where. */
class CallError extends Error {}

type Spend = (steps: number) => void;
type TemplateFunction = (args: readonly Result[], spend: Spend) => Result;

interface FunctionEntry {
  readonly least: number;
  readonly most: number;
  readonly call: TemplateFunction;
}

function entry(least: number, most: number, call: TemplateFunction): FunctionEntry {
  return { least, most, call };
}

const ANY_NUMBER = Number.POSITIVE_INFINITY;

/** @source Go src/text/template/funcs.go */
const FUNCTIONS: ReadonlyMap<string, FunctionEntry> = new Map([
  // The runner evaluates these two itself, argument by argument.
  ["and", entry(1, ANY_NUMBER, (args) => args.at(-1))],
  ["or", entry(1, ANY_NUMBER, (args) => args.at(-1))],
  ["not", entry(1, 1, ([value]) => !isTrue(value))],
  [
    "call",
    entry(1, ANY_NUMBER, ([value]) => {
      throw new CallError(value == null ? "call of nil" : `non-function of type ${goTypeName(value)}`);
    }),
  ],
  ["html", entry(0, ANY_NUMBER, (args, spend) => escapeHtml(joined(args, spend)))],
  ["js", entry(0, ANY_NUMBER, (args, spend) => escapeJs(joined(args, spend)))],
  ["urlquery", entry(0, ANY_NUMBER, (args, spend) => queryEscape(joined(args, spend)))],
  ["index", entry(1, ANY_NUMBER, ([item, ...indexes]) => indexes.reduce(element, nonNil(item, "index")))],
  ["slice", entry(1, ANY_NUMBER, ([item, ...indexes]) => slice(nonNil(item, "slice"), indexes))],
  ["len", entry(1, 1, ([value]) => new GoInt(BigInt(lengthOf(value)), "int"))],
  ["print", entry(0, ANY_NUMBER, (args, spend) => goSprint(args.map(toInterface), spend))],
  [
    "printf",
    entry(1, ANY_NUMBER, ([format, ...args], spend) => goSprintf(formatText(format), args.map(toInterface), spend)),
  ],
  ["println", entry(0, ANY_NUMBER, (args, spend) => goSprintln(args.map(toInterface), spend))],
  ["eq", entry(1, ANY_NUMBER, ([first, ...others]) => equalsAny(first, others))],
  ["ne", entry(2, 2, ([a, b]) => !equalsAny(a, [b]))],
  ["lt", entry(2, 2, ([a, b]) => isLess(a, b))],
  ["le", entry(2, 2, ([a, b]) => isLess(a, b) || equalsAny(a, [b]))],
  ["gt", entry(2, 2, ([a, b]) => !(isLess(a, b) || equalsAny(a, [b])))],
  ["ge", entry(2, 2, ([a, b]) => !isLess(a, b))],
]);

const FUNCTION_NAMES: ReadonlySet<string> = new Set(FUNCTIONS.keys());

function toInterface(value: Result): GoValue {
  return value ?? null;
}

function formatText(value: Result): string {
  if (typeof value === "string") return value;
  throw new CallError(`wrong type for value; expected string; got ${value == null ? "<nil>" : goTypeName(value)}`);
}

function joined(args: readonly Result[], spend: Spend): string {
  return goSprint(
    args.map((value) => value ?? "<no value>"),
    spend,
  );
}

function isTrue(value: Result): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  if (typeof value === "number") return value !== 0;
  if (typeof value === "string") return value !== "";
  if (value instanceof GoInt) return value.value !== 0n;
  if (value instanceof GoJsonNumber) return true;
  if (value instanceof Map) return value.size > 0;
  return Array.isArray(value) ? value.length > 0 : true;
}

function nonNil(value: Result, name: string): GoValue {
  if (value === undefined || value === null) throw new CallError(`${name} of untyped nil`);
  return value;
}

function lengthOf(value: Result): number {
  if (value === undefined || value === null) throw new CallError("len of nil pointer");
  if (typeof value === "string") return toUtf8(value).length;
  if (value instanceof GoJsonNumber) return value.text.length;
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map) return value.size;
  throw new CallError(`len of type ${goTypeName(value)}`);
}

/** @param limit the greatest index there is, or the length for slices */
function position(index: Result, limit: number): number {
  if (index === undefined || index === null) throw new CallError("cannot index slice/array with nil");
  if (!(index instanceof GoInt)) throw new CallError(`cannot index slice/array with type ${goTypeName(index)}`);
  if (index.value < 0n || index.value > BigInt(limit)) throw new CallError(`index out of range: ${index.value}`);
  return Number(index.value);
}

function element(item: GoValue, index: Result): GoValue {
  if (item === null) throw new CallError("index of nil pointer");
  if (item instanceof Map) {
    if (index === undefined || index === null) throw new CallError("value is nil; should be of type string");
    if (typeof index !== "string") throw new CallError(`value has type ${goTypeName(index)}; should be string`);
    return (item as ReadonlyMap<string, GoValue>).get(index) ?? null;
  }
  if (Array.isArray(item)) return (item as readonly GoValue[])[position(index, item.length - 1)] as GoValue;
  const text = item instanceof GoJsonNumber ? item.text : item;
  if (typeof text === "string") {
    const bytes = toUtf8(text);
    return new GoInt(BigInt(bytes[position(index, bytes.length - 1)] as number), "int");
  }
  throw new CallError(`can't index item of type ${goTypeName(item)}`);
}

function slice(item: GoValue, indexes: readonly Result[]): GoValue {
  if (indexes.length > 3) throw new CallError(`too many slice indexes: ${indexes.length}`);
  const isList = Array.isArray(item);
  if (!isList && typeof item !== "string" && !(item instanceof GoJsonNumber)) {
    throw new CallError(`can't slice item of type ${goTypeName(item)}`);
  }
  if (!isList && indexes.length === 3) throw new CallError("cannot 3-index slice a string");
  const text = item instanceof GoJsonNumber ? item.text : item;
  const bytes = typeof text === "string" ? toUtf8(text) : undefined;
  const size = bytes?.length ?? (item as readonly GoValue[]).length;
  const [start = 0, end = size, room = size] = indexes.map((index) => position(index, size));
  if (start > end) throw new CallError(`invalid slice index: ${start} > ${end}`);
  if (end > room) throw new CallError(`invalid slice index: ${end} > ${room}`);
  return bytes === undefined ? (item as readonly GoValue[]).slice(start, end) : fromUtf8(bytes.subarray(start, end));
}

type Kind = "bool" | "int" | "float" | "string" | "other";

function kindOf(value: Result): Kind {
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return "float";
  if (value instanceof GoInt) return "int";
  return typeof value === "string" || value instanceof GoJsonNumber ? "string" : "other";
}

function textOf(value: Result): string {
  return value instanceof GoJsonNumber ? value.text : (value as string);
}

function equalsAny(first: Result, others: readonly Result[]): boolean {
  if (others.length === 0) throw new CallError("missing argument for comparison");
  return others.some((other) => equals(first, other));
}

function equals(a: Result, b: Result): boolean {
  const kind = kindOf(a);
  const nilA = a === undefined || a === null;
  const nilB = b === undefined || b === null;
  if (kind !== kindOf(b)) {
    if (!nilA && !nilB) throw incompatible(a, b);
    return false;
  }
  if (kind === "string") return textOf(a) === textOf(b);
  if (kind === "int") return (a as GoInt).value === (b as GoInt).value;
  if (kind !== "other") return a === b;
  if (nilA || nilB) return nilA && nilB;
  throw new CallError(`non-comparable type ${goTypeName(a)}`);
}

function incompatible(a: Result, b: Result): CallError {
  return new CallError(
    `incompatible types for comparison: ${goTypeName(toInterface(a))} and ${goTypeName(toInterface(b))}`,
  );
}

function isLess(a: Result, b: Result): boolean {
  const kind = kindOf(a);
  if (kind === "other" || kindOf(b) === "other") throw new CallError("invalid type for comparison");
  if (kind !== kindOf(b)) throw incompatible(a, b);
  switch (kind) {
    case "bool":
      throw new CallError("invalid type for comparison");
    case "int":
      return (a as GoInt).value < (b as GoInt).value;
    case "float":
      return (a as number) < (b as number);
    case "string":
      return compareStrings(textOf(a), textOf(b)) < 0;
  }
}

const HTML_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', "&#34;"],
  ["'", "&#39;"],
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ["\0", "\ufffd"],
]);

function escapeHtml(text: string): string {
  return text.replace(/["'&<>\0]/g, (char) => HTML_ESCAPES.get(char) as string);
}

function escapeJs(text: string): string {
  return text.replace(/[\\'"<>&=\x00-\x1f]|[^\x00-\x7f]/gu, (char) => {
    if (char === "\\" || char === "'" || char === '"') return `\\${char}`;
    if (char > "\x7f" && /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) return char;
    return `\\u${(char.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, "0")}`;
  });
}

/** A loop is left, or goes on with its next element. */
class LoopSignal extends Error {
  readonly kind: "break" | "continue";

  constructor(kind: "break" | "continue") {
    super(kind);
    this.kind = kind;
  }
}

/** Runs one template. @source Go src/text/template/exec.go */
class Runner {
  readonly #name: string;
  readonly #source: string;
  readonly #templates: ReadonlyMap<string, readonly Node[]>;
  readonly #spend: Spend;
  #executing: string;
  #variables: { readonly name: string; value: Result }[];
  #out = "";
  #depth = 0;

  constructor(
    name: string,
    source: string,
    templates: ReadonlyMap<string, readonly Node[]>,
    data: GoValue,
    spend: Spend,
  ) {
    this.#name = name;
    this.#source = source;
    this.#templates = templates;
    this.#spend = spend;
    this.#executing = name;
    this.#variables = [{ name: "$", value: data }];
  }

  run(data: GoValue): string {
    this.#list(this.#templates.get(this.#name) ?? [], data);
    return this.#out;
  }

  #fail(at: { readonly at: number; readonly text: string }, message: string): never {
    const before = this.#source.slice(0, at.at);
    const lineStart = before.lastIndexOf("\n") + 1;
    const line = before.split("\n").length;
    const column = toUtf8(before.slice(lineStart)).length + (lineStart > 0 ? 1 : 0);
    const shown = at.text.length > 20 ? `${at.text.slice(0, 20)}...` : at.text;
    throw new TemplateError(
      `template: ${this.#name}:${line}:${column}: executing ${JSON.stringify(this.#executing)} at <${shown}>: ${message}`,
    );
  }

  #write(text: string): void {
    checkTextSize(this.#out.length + text.length);
    this.#spend(1 + (text.length >> 6));
    this.#out += text;
  }

  #list(nodes: readonly Node[], dot: Result): void {
    for (const node of nodes) this.#node(node, dot);
  }

  #node(node: Node, dot: Result): void {
    this.#spend(1);
    switch (node.kind) {
      case "text":
        this.#write(node.text);
        return;
      case "action": {
        const value = this.#pipeline(node.pipe, dot);
        if (node.pipe.variables.length === 0) this.#print(value);
        return;
      }
      case "if":
      case "with":
        this.#scoped(() => {
          const value = this.#pipeline(node.pipe, dot);
          if (isTrue(value)) this.#list(node.body, node.kind === "with" ? value : dot);
          else if (node.otherwise !== undefined) this.#list(node.otherwise, dot);
        });
        return;
      case "range":
        this.#scoped(() => this.#range(node, dot));
        return;
      case "template":
        this.#template(node, dot);
        return;
      case "break":
      case "continue":
        throw new LoopSignal(node.kind);
    }
  }

  #scoped(work: () => void): void {
    const count = this.#variables.length;
    try {
      work();
    } finally {
      this.#variables.length = count;
    }
  }

  #print(value: Result): void {
    this.#write(value === undefined || value === null ? "<no value>" : goSprint([value], this.#spend));
  }

  #range(node: Extract<Node, { kind: "if" | "with" | "range" }>, dot: Result): void {
    const value = this.#pipeline(node.pipe, dot);
    const mark = this.#variables.length;
    let any = false;
    try {
      for (const [key, member] of this.#elements(node.pipe, value)) {
        any = true;
        this.#spend(1);
        this.#bindElement(node.pipe, key, member);
        try {
          this.#scoped(() => this.#list(node.body, member));
        } catch (signal) {
          if (!(signal instanceof LoopSignal) || signal.kind === "break") throw signal;
        }
        this.#variables.length = mark;
      }
    } catch (signal) {
      if (!(signal instanceof LoopSignal)) throw signal;
    }
    if (!any && node.otherwise !== undefined) this.#list(node.otherwise, dot);
  }

  *#elements(pipe: PipeNode, value: Result): Generator<readonly [key: GoValue, member: GoValue]> {
    if (value === undefined || value === null) return;
    if (Array.isArray(value)) {
      let i = 0n;
      for (const member of value as readonly GoValue[]) yield [new GoInt(i++, "int"), member];
    } else if (value instanceof Map) {
      const map = value as ReadonlyMap<string, GoValue>;
      for (const key of sortedMapKeys(map)) yield [key, map.get(key) as GoValue];
    } else if (value instanceof GoInt) {
      if (pipe.variables.length > 1)
        this.#fail(pipe, `can't use ${value.value} to iterate over more than one variable`);
      for (let i = 0n; i < value.value; i++) yield [new GoInt(i, "int"), new GoInt(i, "int")];
    } else {
      this.#fail(pipe, `range can't iterate over ${goSprint([value], this.#spend)}`);
    }
  }

  #bindElement(pipe: PipeNode, key: GoValue, member: GoValue): void {
    const [first, second] = pipe.variables;
    const set = (name: string, value: GoValue): void => {
      if (pipe.assigns) this.#assign(pipe, name, value);
      else this.#variables.push({ name, value });
    };
    if (second !== undefined) {
      set(first as string, key);
      set(second, member);
    } else if (first !== undefined) set(first, member);
  }

  #assign(pipe: PipeNode, name: string, value: Result): void {
    const variable = this.#variables.findLast((candidate) => candidate.name === name);
    if (variable === undefined) this.#fail(pipe, `undefined variable: ${name}`);
    variable.value = value;
  }

  #template(node: Extract<Node, { kind: "template" }>, dot: Result): void {
    const nodes = this.#templates.get(node.name);
    if (nodes === undefined) this.#fail(node, `template ${JSON.stringify(node.name)} not defined`);
    if (this.#depth >= MAX_DEPTH) this.#fail(node, `exceeded maximum template depth (${MAX_DEPTH})`);
    const data = node.pipe === undefined ? undefined : this.#pipeline(node.pipe, dot);
    const variables = this.#variables;
    const executing = this.#executing;
    this.#variables = [{ name: "$", value: data }];
    this.#executing = node.name;
    this.#depth++;
    this.#list(nodes, data);
    this.#depth--;
    this.#variables = variables;
    this.#executing = executing;
  }

  #pipeline(pipe: PipeNode, dot: Result): Result {
    let value: Result;
    let piped: readonly Result[] = [];
    for (const command of pipe.commands) {
      value = this.#command(command, dot, piped);
      piped = [value];
    }
    // A range binds its variables itself, once for every element.
    for (const name of pipe.variables.length === 1 || pipe.assigns ? pipe.variables : []) {
      if (pipe.assigns) this.#assign(pipe, name, value);
      else this.#variables.push({ name, value });
    }
    return value;
  }

  /** @param piped the value of the command before, or none */
  #command(command: CommandNode, dot: Result, piped: readonly Result[]): Result {
    const [first, ...args] = command.operands;
    const head = first as OperandNode;
    if (head.kind === "identifier") return this.#call(head, command, args, dot, piped);
    const given = args.length + piped.length;
    if (head.kind === "field" || head.kind === "chain" || (head.kind === "variable" && head.path.length > 0)) {
      return this.#value(head, dot, given);
    }
    if (given > 0) this.#fail(head, `can't give argument to non-function ${head.text}`);
    if (head.kind === "nil") this.#fail(head, "nil is not a command");
    return this.#value(head, dot, 0);
  }

  /** @param given number of arguments, which only functions may have */
  #value(node: OperandNode, dot: Result, given: number): Result {
    switch (node.kind) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "bool":
      case "string":
        return node.value;
      case "number":
        return node.int === undefined ? node.float : new GoInt(node.int, "int");
      case "field":
        return this.#fields(node, dot, node.path, given, dot);
      case "variable": {
        const variable = this.#variables.findLast((candidate) => candidate.name === node.name);
        if (variable === undefined) this.#fail(node, `undefined variable: ${node.name}`);
        return this.#fields(node, variable.value, node.path, given, undefined);
      }
      case "chain": {
        const base = this.#value(node.base, dot, 0);
        if (node.base.kind === "nil") this.#fail(node, `indirection through explicit nil in ${node.text}`);
        return this.#fields(node, base, node.path, given, undefined);
      }
      case "identifier":
        return this.#call(node, node, [], dot, []);
      case "pipe":
        return this.#pipeline(node, dot);
    }
  }

  #fields(node: OperandNode, start: Result, path: readonly string[], given: number, root: Result): Result {
    let value = start;
    path.forEach((name, i) => {
      if (value === undefined) return;
      const type = value === root && i === 0 && value instanceof Map ? goTypeName(value) : "interface {}";
      if (value === null) this.#fail(node, `nil pointer evaluating ${type}.${name}`);
      if (!(value instanceof Map)) this.#fail(node, `can't evaluate field ${name} in type ${type}`);
      if (given > 0 && i === path.length - 1) this.#fail(node, `${name} is not a method but has arguments`);
      value = (value as ReadonlyMap<string, GoValue>).get(name);
    });
    return value;
  }

  #call(
    node: Extract<OperandNode, { kind: "identifier" }>,
    command: { readonly at: number; readonly text: string },
    args: readonly OperandNode[],
    dot: Result,
    piped: readonly Result[],
  ): Result {
    const { least, most, call } = FUNCTIONS.get(node.name) as FunctionEntry;
    const count = args.length + piped.length;
    if (count < least || count > most) {
      const wanted = most === ANY_NUMBER ? `at least ${least}` : String(least);
      this.#fail(node, `wrong number of args for ${node.name}: want ${wanted} got ${count}`);
    }
    if (node.name === "and" || node.name === "or") {
      let value: Result;
      for (const operand of args) {
        value = this.#value(operand, dot, 0);
        if (isTrue(value) === (node.name === "or")) return value;
      }
      return piped.length > 0 ? piped[0] : value;
    }
    const values = [...args.map((operand) => this.#value(operand, dot, 0)), ...piped];
    try {
      return call(values, this.#spend);
    } catch (error) {
      if (error instanceof CallError) this.#fail(command, `error calling ${node.name}: ${error.message}`);
      throw error;
    }
  }
}

/**
 * A Go text/template rendered with data. @param name what error messages call the template
 * @throws {TemplateError}
 */
export function renderTemplate(name: string, source: string, data: GoValue, spend: Spend): string {
  try {
    const templates = parseTemplate(name, source, FUNCTION_NAMES);
    return new Runner(name, source, templates, data, spend).run(data);
  } catch (error) {
    if (error instanceof RangeError) throw new TemplateError(`template: ${name}: nested too deeply`, { cause: error });
    throw error;
  }
}

/** A value as the template sees it: what Go's JSON decoder makes of it, numbers as `json.Number`. */
export function templateData(value: Value): GoValue {
  if (isNumber(value)) return new GoJsonNumber(numberText(value));
  if (isArray(value)) return value.map(templateData);
  if (isSet(value)) return value.sorted().map(templateData);
  if (!isObject(value)) return value;
  const map = new Map<string, GoValue>();
  for (const [key, member] of entriesOf(value)) {
    map.set(typeof key === "string" ? key : toJsonText(key), templateData(member));
  }
  return map;
}

export const templateBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "strings.render_template",
    category: "strings",
    about: "Renders a Go text/template. What is missing shows as `<undefined>`.",
    args: [
      arg("value", operands.string, "the template"),
      arg(
        "vars",
        operands.of<ObjectValue>(types.object(types.string, types.any), "object"),
        "what the template calls `.`",
      ),
    ],
    result: result("result", types.string, "the rendered text"),
    call: (context, value, vars) => {
      try {
        const text = renderTemplate("template", value, templateData(vars), (steps) => context.spend(steps));
        return text.replaceAll("<no value>", "<undefined>");
      } catch (error) {
        if (error instanceof TemplateError) throw new BuiltinError(error.message, { cause: error });
        throw error;
      }
    },
  }),
];
