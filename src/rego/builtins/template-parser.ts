import { quoteGo } from "../value/index.ts";
import { lexTemplate, TemplateError, type Token } from "./template-lexer.ts";

interface Place {
  /** Offset that error messages point to. */
  readonly at: number;
  /** The node as messages show it. */
  readonly text: string;
}

export interface PipeNode extends Place {
  readonly kind: "pipe";
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly CommandNode[];
}

export interface CommandNode extends Place {
  readonly operands: readonly OperandNode[];
}

export type OperandNode =
  | (Place & { readonly kind: "identifier"; readonly name: string })
  | (Place & { readonly kind: "field"; readonly path: readonly string[] })
  | (Place & { readonly kind: "variable"; readonly name: string; readonly path: readonly string[] })
  | (Place & { readonly kind: "chain"; readonly base: OperandNode; readonly path: readonly string[] })
  | (Place & { readonly kind: "dot" | "nil" })
  | (Place & { readonly kind: "bool"; readonly value: boolean })
  | (Place & { readonly kind: "number"; readonly int: bigint | undefined; readonly float: number | undefined })
  | (Place & { readonly kind: "string"; readonly value: string })
  | PipeNode;

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipe: PipeNode }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipe: PipeNode;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[] | undefined;
    }
  | (Place & { readonly kind: "template"; readonly name: string; readonly pipe: PipeNode | undefined })
  | { readonly kind: "break" | "continue" };

/** What ends a list of nodes. */
type Terminator = "{{end}}" | "{{else}}";

/** Deeper nesting is refused: the parser recurses. */
const MAX_DEPTH = 500;

/**
 * Parses a template and the templates it defines, by name.
 * @param functions names that may be called
 * @throws {TemplateError} `template: name:line: …`
 */
export function parseTemplate(
  name: string,
  source: string,
  functions: ReadonlySet<string>,
): ReadonlyMap<string, readonly Node[]> {
  return new Parser(name, source, functions).run();
}

/** @source Go src/text/template/parse/parse.go */
class Parser {
  readonly #name: string;
  readonly #source: string;
  readonly #functions: ReadonlySet<string>;
  readonly #tokens: readonly Token[];
  readonly #templates = new Map<string, readonly Node[]>();
  #next = 0;
  #variables = ["$"];
  #rangeDepth = 0;
  #depth = 0;

  constructor(name: string, source: string, functions: ReadonlySet<string>) {
    this.#name = name;
    this.#source = source;
    this.#functions = functions;
    this.#tokens = lexTemplate(source);
  }

  run(): ReadonlyMap<string, readonly Node[]> {
    const nodes: Node[] = [];
    while (this.#peek().kind !== "eof") {
      if (this.#isDefinition()) {
        this.#definition();
        continue;
      }
      const node = this.#textOrAction();
      if (typeof node === "string") this.#fail(`unexpected ${node}`);
      nodes.push(node);
    }
    this.#add(this.#name, nodes);
    return this.#templates;
  }

  #peek(): Token {
    return this.#tokens[this.#next] as Token;
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== "eof" && token.kind !== "error") this.#next++;
    return token;
  }

  #peekNonSpace(): Token {
    while (this.#peek().kind === "space") this.#next++;
    return this.#peek();
  }

  #takeNonSpace(): Token {
    this.#peekNonSpace();
    return this.#take();
  }

  #fail(message: string): never {
    const { line } = this.#tokens[Math.max(0, Math.min(this.#next, this.#tokens.length) - 1)] ?? this.#peek();
    throw new TemplateError(`template: ${this.#name}:${line}: ${message}`);
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind === "error") this.#fail(token.text);
    this.#fail(`unexpected ${tokenText(token)} in ${context}`);
  }

  #isDefinition(): boolean {
    if (this.#peek().kind !== "left") return false;
    const start = this.#next;
    this.#take();
    const token = this.#takeNonSpace();
    if (token.kind === "keyword" && token.text === "define") return true;
    this.#next = start;
    return false;
  }

  #definition(): void {
    const context = "define clause";
    const name = this.#templateName(context);
    this.#expectRight(context);
    const { nodes, end } = this.#scope(() => this.#list());
    if (end !== "{{end}}") this.#fail(`unexpected ${end} in ${context}`);
    this.#add(name, nodes);
  }

  /** Parses a part that has its own variables and loops. */
  #scope<T>(parse: () => T): T {
    const variables = this.#variables;
    const rangeDepth = this.#rangeDepth;
    this.#variables = ["$"];
    this.#rangeDepth = 0;
    const parsed = parse();
    this.#variables = variables;
    this.#rangeDepth = rangeDepth;
    return parsed;
  }

  /** Empty templates give way to others of their name; two with content collide. */
  #add(name: string, nodes: readonly Node[]): void {
    const known = this.#templates.get(name);
    if (known === undefined || isEmpty(known)) this.#templates.set(name, nodes);
    else if (!isEmpty(nodes)) this.#fail(`template: multiple definition of template ${quoteGo(name)}`);
  }

  #templateName(context: string): string {
    const token = this.#takeNonSpace();
    if (token.kind !== "string") this.#unexpected(token, context);
    return this.#unquote(token);
  }

  #expectRight(context: string): void {
    const token = this.#takeNonSpace();
    if (token.kind !== "right") this.#unexpected(token, context);
  }

  #list(): { readonly nodes: readonly Node[]; readonly end: Terminator } {
    if (++this.#depth > MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH}`);
    const nodes: Node[] = [];
    while (this.#peekNonSpace().kind !== "eof") {
      const node = this.#textOrAction();
      if (typeof node === "string") {
        this.#depth--;
        return { nodes, end: node };
      }
      nodes.push(node);
    }
    this.#fail("unexpected EOF");
  }

  #textOrAction(): Node | Terminator {
    const token = this.#takeNonSpace();
    if (token.kind === "text") return { kind: "text", text: token.text };
    if (token.kind === "left") return this.#action();
    this.#unexpected(token, "input");
  }

  #action(): Node | Terminator {
    const token = this.#peekNonSpace();
    if (token.kind !== "keyword") return { kind: "action", pipe: this.#pipeline("command", "right") };
    this.#take();
    switch (token.text) {
      case "if":
      case "with":
      case "range":
        return this.#control(token.text);
      case "else": {
        const next = this.#peekNonSpace();
        if (next.kind === "keyword" && (next.text === "if" || next.text === "with")) return "{{else}}";
        this.#expectRight("else");
        return "{{else}}";
      }
      case "end":
        this.#expectRight("end");
        return "{{end}}";
      case "break":
      case "continue": {
        const after = this.#takeNonSpace();
        if (after.kind !== "right") this.#unexpected(after, `{{${token.text}}}`);
        if (this.#rangeDepth === 0) this.#fail(`{{${token.text}}} outside {{range}}`);
        return { kind: token.text };
      }
      case "template":
        return this.#templateCall();
      case "block":
        return this.#block();
      default:
        this.#unexpected(token, "command");
    }
  }

  #control(kind: "if" | "with" | "range"): Node {
    const variables = this.#variables.length;
    const pipe = this.#pipeline(kind, "right");
    if (kind === "range") this.#rangeDepth++;
    const { nodes: body, end } = this.#list();
    if (kind === "range") this.#rangeDepth--;
    let otherwise: readonly Node[] | undefined;
    if (end === "{{else}}") {
      const next = this.#peek();
      if (kind !== "range" && next.kind === "keyword" && next.text === kind) {
        this.#take();
        if (++this.#depth > MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH}`);
        otherwise = [this.#control(kind)];
        this.#depth--;
      } else {
        const rest = this.#list();
        if (rest.end !== "{{end}}") this.#fail(`expected end; found ${rest.end}`);
        otherwise = rest.nodes;
      }
    }
    this.#variables.length = variables;
    return { kind, pipe, body, otherwise };
  }

  #templateCall(): Node {
    const context = "template clause";
    const { at } = this.#peekNonSpace();
    const name = this.#templateName(context);
    const pipe = this.#peekNonSpace().kind === "right" ? undefined : this.#pipeline(context, "right");
    if (pipe === undefined) this.#take();
    return { kind: "template", name, pipe, at, text: `{{template ${quoteGo(name)}}}` };
  }

  #block(): Node {
    const context = "block clause";
    const { at } = this.#peekNonSpace();
    const name = this.#templateName(context);
    const pipe = this.#pipeline(context, "right");
    const { nodes, end } = this.#scope(() => this.#list());
    if (end !== "{{end}}") this.#fail(`unexpected ${end} in ${context}`);
    this.#add(name, nodes);
    return { kind: "template", name, pipe, at, text: `{{template ${quoteGo(name)}}}` };
  }

  #pipeline(context: string, end: "right" | "rparen"): PipeNode {
    const first = this.#peekNonSpace();
    const start = this.#next;
    const { variables, assigns } = this.#declarations(context);
    const commands: CommandNode[] = [];
    for (;;) {
      const token = this.#takeNonSpace();
      switch (token.kind) {
        case end: {
          this.#checkPipeline(commands, context);
          const last = this.#tokens[this.#next - 1] as Token;
          const from = (this.#tokens[start] as Token).at;
          const text = this.#source.slice(from, last.at).trimEnd();
          return { kind: "pipe", variables, assigns, commands, at: first.at, text };
        }
        case "bool":
        case "char":
        case "dot":
        case "field":
        case "identifier":
        case "number":
        case "nil":
        case "string":
        case "variable":
        case "lparen":
          this.#next--;
          commands.push(this.#command());
          break;
        default:
          this.#unexpected(token, context);
      }
    }
  }

  /** `$x :=`, `$x =`, and in ranges `$i, $x :=`. */
  #declarations(context: string): { readonly variables: readonly string[]; readonly assigns: boolean } {
    const variables: string[] = [];
    for (;;) {
      const variable = this.#peekNonSpace();
      if (variable.kind !== "variable") return { variables, assigns: false };
      const start = this.#next;
      this.#take();
      const next = this.#peekNonSpace();
      if (next.kind === "assign" || next.kind === "declare") {
        this.#take();
        variables.push(variable.text);
        this.#variables.push(variable.text);
        return { variables, assigns: next.kind === "assign" };
      }
      if (next.kind !== "comma") {
        this.#next = start;
        return { variables, assigns: false };
      }
      this.#take();
      variables.push(variable.text);
      this.#variables.push(variable.text);
      if (context !== "range" || variables.length >= 2) this.#fail(`too many declarations in ${context}`);
      const { kind } = this.#peekNonSpace();
      if (kind !== "variable" && kind !== "right" && kind !== "rparen") {
        this.#fail("range can only initialize variables");
      }
    }
  }

  #checkPipeline(commands: readonly CommandNode[], context: string): void {
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    commands.forEach((command, i) => {
      const kind = (command.operands[0] as OperandNode).kind;
      if (i > 0 && ["bool", "dot", "nil", "number", "string"].includes(kind)) {
        this.#fail(`non executable command in pipeline stage ${i + 1}`);
      }
    });
  }

  #command(): CommandNode {
    const { at } = this.#peekNonSpace();
    const operands: OperandNode[] = [];
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = this.#take();
      if (token.kind === "space") continue;
      if (token.kind === "right" || token.kind === "rparen") this.#next--;
      else if (token.kind !== "pipe") this.#unexpected(token, "operand");
      if (operands.length === 0) this.#fail("empty command");
      return { operands, at, text: operands.map((node) => node.text).join(" ") };
    }
  }

  #operand(): OperandNode | undefined {
    const base = this.#term();
    if (base === undefined || this.#peek().kind !== "field") return base;
    const { at } = this.#peek();
    const path: string[] = [];
    while (this.#peek().kind === "field") path.push(this.#take().text.slice(1));
    const text = `${base.text}.${path.join(".")}`;
    switch (base.kind) {
      case "field":
        return { kind: "field", path: [...base.path, ...path], at, text };
      case "variable":
        return { kind: "variable", name: base.name, path: [...base.path, ...path], at, text };
      case "bool":
      case "string":
      case "number":
      case "nil":
      case "dot":
        this.#fail(`unexpected . after term ${quoteGo(base.text)}`);
        break;
      case "identifier":
      case "chain":
      case "pipe":
        return { kind: "chain", base, path, at, text };
    }
  }

  #term(): OperandNode | undefined {
    const token = this.#takeNonSpace();
    const { at, text } = token;
    switch (token.kind) {
      case "identifier":
        if (!this.#functions.has(text)) this.#fail(`function ${quoteGo(text)} not defined`);
        return { kind: "identifier", name: text, at, text };
      case "dot":
      case "nil":
        return { kind: token.kind, at, text };
      case "variable":
        if (!this.#variables.includes(text)) this.#fail(`undefined variable ${quoteGo(text)}`);
        return { kind: "variable", name: text, path: [], at, text };
      case "field":
        return { kind: "field", path: [text.slice(1)], at, text };
      case "bool":
        return { kind: "bool", value: text === "true", at, text };
      case "char":
      case "number":
        return this.#number(token);
      case "lparen": {
        if (++this.#depth > MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH}`);
        const pipe = this.#pipeline("parenthesized pipeline", "rparen");
        this.#depth--;
        return { ...pipe, text: `(${pipe.text})` };
      }
      case "string":
        return { kind: "string", value: this.#unquote(token), at, text };
      default:
        if (token.kind !== "eof" && token.kind !== "error") this.#next--;
        return undefined;
    }
  }

  #number({ kind, at, text }: Token): OperandNode {
    if (kind === "char") {
      const value = unquoteBody(text.slice(1, -1), "'");
      if (value === undefined || [...value].length !== 1) this.#fail(`malformed character constant: ${text}`);
      const code = value.codePointAt(0) as number;
      return { kind: "number", int: BigInt(code), float: undefined, at, text };
    }
    const plain = text.replaceAll("_", "");
    const sign = plain.startsWith("-") ? -1 : 1;
    const body = plain.replace(/^[+-]/, "");
    if (/^(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)$/.test(body)) {
      const normal = /^0[0-7]+$/.test(body) ? `0o${body.slice(1)}` : body;
      const int = BigInt(sign) * BigInt(normal);
      if (int !== BigInt.asIntN(64, int)) this.#fail(`integer overflow: ${quoteGo(text)}`);
      return { kind: "number", int, float: undefined, at, text };
    }
    if (/^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(body) && Number.isFinite(Number(body))) {
      return { kind: "number", int: undefined, float: sign * Number(body), at, text };
    }
    const hexadecimal = /^0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?[0-9]+)$/.exec(body);
    if (hexadecimal !== null && (hexadecimal[1] as string) + (hexadecimal[2] as string) !== "") {
      const [, whole = "", fraction = "", exponent] = hexadecimal;
      const mantissa = Number(BigInt(`0x0${whole}${fraction}`));
      const float = sign * mantissa * 2 ** (Number(exponent) - 4 * fraction.length);
      return { kind: "number", int: undefined, float, at, text };
    }
    this.#fail(`illegal number syntax: ${quoteGo(text)}`);
  }

  #unquote(token: Token): string {
    if (token.text.startsWith("`")) return token.text.slice(1, -1).replaceAll("\r", "");
    const value = unquoteBody(token.text.slice(1, -1), '"');
    if (value === undefined) this.#fail("invalid syntax");
    return value;
  }
}

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ["\\", "\\"],
]);

/** The inside of a Go literal; undefined where an escape is wrong. */
function unquoteBody(body: string, quote: string): string | undefined {
  if (!body.includes("\\")) return body;
  let wrong = false;
  const text = body.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([\s\S]))/g,
    (_all, byte?: string, short?: string, long?: string, octal?: string, other?: string) => {
      if (other !== undefined) {
        const simple = other === quote ? quote : SIMPLE_ESCAPES.get(other);
        wrong ||= simple === undefined;
        return simple ?? "";
      }
      const code =
        octal === undefined ? Number.parseInt((byte ?? short ?? long) as string, 16) : Number.parseInt(octal, 8);
      const isByte = byte !== undefined || octal !== undefined;
      wrong ||= code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || (octal !== undefined && code > 0xff);
      if (wrong) return "";
      return isByte && code > 0x7f ? "\ufffd" : String.fromCodePoint(code);
    },
  );
  return wrong ? undefined : text;
}

function isEmpty(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.kind === "text" && node.text.trim() === "");
}

function tokenText({ kind, text }: Token): string {
  if (kind === "eof") return "EOF";
  if (kind === "keyword") return `<${text}>`;
  return text.length > 10 ? `${quoteGo(text.slice(0, 10))}...` : quoteGo(text);
}
