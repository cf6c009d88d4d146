/** Random numbers that a seed repeats (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** A random program: rules as lists of lines, so that a failing one can be made smaller. */
export interface Program {
  readonly rules: readonly GeneratedRule[];
  readonly input: unknown;
  readonly data: unknown;
}

export interface GeneratedRule {
  readonly head: string;
  readonly body: readonly string[];
  /** Text after the body: `else := 1 if { … }`. */
  readonly tail: string;
}

export function programText(program: Program): string {
  // Through `o` a term's type is unknown to the type checker, so that the program gets to run.
  const rules = program.rules.map(({ head, body, tail }) => {
    const block = body.length === 0 ? "" : ` if {\n${body.map((line) => `\t${line}`).join("\n")}\n}`;
    return `${head}${block}${tail === "" ? "" : ` ${tail}`}`;
  });
  return `package fuzz\n\no(x) := x\n\n${rules.join("\n\n")}\n`;
}

type RuleKind = "complete" | "boolean" | "function" | "set" | "object" | "nested" | "setobject";

const STRINGS = ["a", "b", "c", "", "foo", "é", "1"];
const PATHS = [
  "input.a",
  "input.b",
  "input.list",
  "input.obj",
  "input.obj.x",
  "input.num",
  "input.missing",
  "input.nested.list",
  "input.set",
  "data.base.a",
  "data.base.list",
  "data.base.obj",
  "data.base.missing",
  "data.base.nested.k",
];
const LISTS = [
  "input.list",
  "input.nested.list",
  "data.base.list",
  "input.obj",
  "data.base.obj",
  "[1, 2, 3]",
  '{"a", "b"}',
  '{"x": 1, "y": [2]}',
  "input.set",
];

/** Builtins with the number of operands; operands are drawn freely, so most calls also meet wrong types at run time. Without numbers.range: a large bound keeps opa busy for hours. */
const BUILTINS: readonly (readonly [string, number])[] = [
  ["count", 1],
  ["sum", 1],
  ["product", 1],
  ["max", 1],
  ["min", 1],
  ["sort", 1],
  ["upper", 1],
  ["lower", 1],
  ["abs", 1],
  ["round", 1],
  ["ceil", 1],
  ["floor", 1],
  ["is_string", 1],
  ["is_number", 1],
  ["is_array", 1],
  ["is_set", 1],
  ["is_object", 1],
  ["is_null", 1],
  ["is_boolean", 1],
  ["type_name", 1],
  ["to_number", 1],
  ["object.keys", 1],
  ["array.reverse", 1],
  ["json.marshal", 1],
  ["trim_space", 1],
  ["strings.reverse", 1],
  ["base64.encode", 1],
  ["format_int", 2],
  ["startswith", 2],
  ["endswith", 2],
  ["contains", 2],
  ["indexof", 2],
  ["split", 2],
  ["concat", 2],
  ["trim", 2],
  ["array.concat", 2],
  ["object.remove", 2],
  ["object.union", 2],
  ["object.filter", 2],
  ["json.remove", 2],
  ["intersection", 1],
  ["union", 1],
  ["object.get", 3],
  ["substring", 3],
  ["replace", 3],
  ["array.slice", 3],
  ["sprintf", 2],
  ["bits.and", 2],
  ["object.subset", 2],
];
const OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&", "|"];

class Generator {
  readonly #random: Random;
  readonly #rules: { name: string; kind: RuleKind; arity: number }[] = [];
  #variables = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  program(): Program {
    const rules: GeneratedRule[] = [];
    const names = 2 + this.#random.below(6);
    for (let i = 0; i < names; i++) rules.push(...this.#document(i));
    return { rules, input: this.#document_input(), data: { base: this.#document_input() } };
  }

  #document_input(): unknown {
    const r = this.#random;
    const scalar = (): unknown => r.pick([null, true, false, 0, 1, 2, -3, 1.5, 10, "a", "b", "foo", ""]);
    const list = (): unknown[] =>
      Array.from({ length: r.below(4) }, () =>
        r.chance(0.2) ? [scalar(), scalar()] : r.chance(0.2) ? { x: scalar(), k: scalar() } : scalar(),
      );
    return {
      a: scalar(),
      b: scalar(),
      list: list(),
      obj: { x: scalar(), y: list(), a: scalar() },
      num: r.pick([0, 1, 2, 7, -1, 2.5]),
      nested: { list: list(), k: scalar() },
      set: list(),
    };
  }

  #document(i: number): GeneratedRule[] {
    const r = this.#random;
    const name = `p${i}`;
    const kind = r.pick<RuleKind>([
      "complete",
      "complete",
      "boolean",
      "boolean",
      "function",
      "set",
      "object",
      "nested",
      "setobject",
    ]);
    const arity = kind === "function" ? 1 + r.below(2) : 0;
    const rules: GeneratedRule[] = [];
    const definitions = r.chance(0.05) ? 7 : 1 + r.below(3);
    if ((kind === "complete" || kind === "boolean") && r.chance(0.4))
      rules.push({ head: `default ${name} := ${kind === "boolean" ? "false" : this.#scalar()}`, body: [], tail: "" });
    if (kind === "function" && r.chance(0.2))
      rules.push({
        head: `default ${name}(${Array.from({ length: arity }, () => "_").join(", ")}) := ${this.#scalar()}`,
        body: [],
        tail: "",
      });
    for (let d = 0; d < definitions; d++) rules.push(this.#definition(name, kind, arity));
    this.#rules.push({ name, kind, arity });
    return rules;
  }

  #definition(name: string, kind: RuleKind, arity: number): GeneratedRule {
    const r = this.#random;
    const args = Array.from({ length: arity }, () =>
      r.chance(0.7) ? this.#fresh() : r.chance(0.5) ? this.#scalar() : `[${this.#fresh()}, ${this.#fresh()}]`,
    );
    const scope = args.flatMap((arg) => arg.match(/\bv\d+\b/g) ?? []);
    const { lines, scope: after } = this.#body(scope, 1 + r.below(4), 2);
    const value = (): string => this.#term(after, 2);
    switch (kind) {
      case "boolean":
        return {
          head: name,
          body: lines,
          tail: r.chance(0.2) ? `else := ${this.#scalar()} if {\n\t${this.#body([], 2, 1).lines.join("\n\t")}\n}` : "",
        };
      case "complete":
        return {
          head: `${name} := ${r.chance(0.5) ? this.#scalar() : value()}`,
          body: lines,
          tail: r.chance(0.2) ? `else := ${this.#scalar()}` : "",
        };
      case "function":
        return {
          head: `${name}(${args.join(", ")}) := ${r.chance(0.4) ? this.#scalar() : value()}`,
          body: lines,
          tail: r.chance(0.15) ? `else := ${this.#scalar()}` : "",
        };
      case "set":
        return { head: `${name} contains ${value()}`, body: lines, tail: "" };
      case "object":
        return {
          head: `${name}[${r.chance(0.2) ? this.#string() : this.#key(after)}] := ${value()}`,
          body: lines,
          tail: "",
        };
      case "nested":
        return { head: `${name}.q[${this.#key(after)}].r := ${value()}`, body: lines, tail: "" };
      case "setobject":
        return { head: `${name}[${this.#key(after)}] contains ${value()}`, body: lines, tail: "" };
    }
  }

  #body(outer: readonly string[], length: number, depth: number): { lines: string[]; scope: string[] } {
    const lines: string[] = [];
    let scope = [...outer];
    for (let i = 0; i < length; i++) {
      const { line, bound } = this.#literal(scope, depth);
      lines.push(line);
      scope = [...scope, ...bound];
    }
    // Now and then in another order: the compiler must find the right one.
    if (this.#random.chance(0.03)) lines.sort(() => this.#random.next() - 0.5);
    return { lines, scope };
  }

  #literal(scope: readonly string[], depth: number): { line: string; bound: readonly string[] } {
    const r = this.#random;
    const term = (): string => this.#opaque(this.#term(scope, depth));
    switch (r.below(13)) {
      case 0: {
        const v = this.#fresh();
        return { line: `${v} := ${term()}`, bound: [v] };
      }
      case 1: {
        const v = this.#fresh();
        return { line: `${v} = ${term()}`, bound: [v] };
      }
      case 2: {
        const v = this.#fresh();
        return { line: `some ${v} in ${r.chance(0.7) ? r.pick(LISTS) : term()}; o(${v}) != "never"`, bound: [v] };
      }
      case 3: {
        const [k, v] = [this.#fresh(), this.#fresh()];
        return {
          line: `some ${k}, ${v} in ${r.chance(0.7) ? r.pick(LISTS) : term()}; o([${k}, ${v}]) != "never"`,
          bound: [k, v],
        };
      }
      case 4:
        return { line: `not ${this.#statement(scope, depth)}`, bound: [] };
      case 5: {
        const v = this.#fresh();
        const body = depth > 0 ? this.#body([...scope, v], 1 + r.below(2), depth - 1).lines.join("; ") : `${v} != 1`;
        return { line: `every ${v} in ${r.pick(LISTS)} { o(${v}) != "never"; ${body} }`, bound: [] };
      }
      case 6: {
        const [a, b] = [this.#fresh(), this.#fresh()];
        return {
          line: `[${a}, ${b}] ${r.pick(["=", ":="])} ${r.chance(0.5) ? `[${term()}, ${term()}]` : term()}`,
          bound: [a, b],
        };
      }
      case 7:
        return {
          line: `${this.#statement(scope, depth)} with ${r.pick(["input", "input.a", "input.list", "data.base.a", "data.base", "input.obj.x"])} as ${this.#simple(scope)}`,
          bound: [],
        };
      case 8: {
        const v = this.#fresh();
        return { line: `${v} := ${r.pick(LISTS.filter((list) => /^(input|data)/.test(list)))}[_]`, bound: [v] };
      }
      case 9: {
        const [k, v] = [this.#fresh(), this.#fresh()];
        return { line: `${v} = ${r.pick(LISTS.filter((list) => /^(input|data)/.test(list)))}[${k}]`, bound: [k, v] };
      }
      default:
        return { line: this.#statement(scope, depth), bound: [] };
    }
  }

  #statement(scope: readonly string[], depth: number): string {
    const r = this.#random;
    if (r.chance(0.55))
      return `${this.#opaque(this.#term(scope, depth))} ${r.pick(["==", "!=", "<", ">", "<=", ">=", "=="])} ${this.#term(scope, depth)}`;
    if (r.chance(0.3)) return `${this.#simple(scope)} in ${r.pick(LISTS)}`;
    return this.#reference(scope) ?? r.pick(PATHS);
  }

  #term(scope: readonly string[], depth: number): string {
    const r = this.#random;
    if (depth <= 0 || r.chance(0.35)) return this.#simple(scope);
    const below = (): string => this.#opaque(this.#term(scope, depth - 1));
    switch (r.below(11)) {
      case 0:
        return `[${Array.from({ length: r.below(3) }, below).join(", ")}]`;
      case 1:
        return `{${Array.from({ length: 1 + r.below(2) }, (_, i) => `"k${i}": ${below()}`).join(", ")}}`;
      case 2:
        return `{${Array.from({ length: 1 + r.below(2) }, below).join(", ")}}`;
      case 3:
      case 4: {
        const [name, arity] = r.pick(BUILTINS);
        return `${name}(${Array.from({ length: arity }, below).join(", ")})`;
      }
      case 5:
        return `(${below()} ${r.pick(OPERATORS)} ${below()})`;
      case 6: {
        const v = this.#fresh();
        const { lines, scope: inner } = this.#body([...scope, v], 1, depth - 1);
        return `[${this.#term(inner, depth - 1)} | some ${v} in ${r.pick(LISTS)}; o(${v}) != "never"; ${lines.join("; ")}]`;
      }
      case 7: {
        const v = this.#fresh();
        return `{${this.#term([...scope, v], depth - 1)} | some ${v} in ${r.pick(LISTS)}; o(${v}) != "never"}`;
      }
      case 8: {
        const [k, v] = [this.#fresh(), this.#fresh()];
        return `{${k}: ${this.#term([...scope, k, v], depth - 1)} | some ${k}, ${v} in ${r.pick(LISTS)}; o([${k}, ${v}]) != "never"}`;
      }
      case 9:
        return `$"<{${this.#simple(scope)}}>"`;
      default:
        return this.#reference(scope) ?? this.#simple(scope);
    }
  }

  #opaque(term: string): string {
    return this.#random.chance(0.08) || /^(input|data)\.[\w.]+$/.test(term) ? term : `o(${term})`;
  }

  /** A use of an earlier rule. */
  #reference(scope: readonly string[]): string | undefined {
    const r = this.#random;
    if (this.#rules.length === 0) return undefined;
    const { name, kind, arity } = r.pick(this.#rules);
    if (kind === "function") return `${name}(${Array.from({ length: arity }, () => this.#simple(scope)).join(", ")})`;
    const path = kind === "nested" && r.chance(0.5) ? `${name}.q` : name;
    if (kind !== "complete" && kind !== "boolean" && r.chance(0.6))
      return `${path}[${r.chance(0.2) ? "_" : this.#simple(scope)}]`;
    return r.chance(0.15) ? `data.fuzz.${path}` : path;
  }

  #simple(scope: readonly string[]): string {
    const r = this.#random;
    if (scope.length > 0 && r.chance(0.55)) return r.pick(scope);
    return r.chance(0.5) ? this.#scalar() : r.pick(PATHS);
  }

  /** A key of a partial document: a variable where there is one, so that rules do not define parts of each other. */
  #key(scope: readonly string[]): string {
    return scope.length > 0 ? this.#random.pick(scope) : "input.a";
  }

  #scalar(): string {
    return this.#random.chance(0.5)
      ? this.#string()
      : this.#random.pick([
          "0",
          "1",
          "2",
          "3",
          "-1",
          "1.5",
          "0.1",
          "10",
          "true",
          "false",
          "null",
          "9007199254740993",
          "1e3",
        ]);
  }

  #string(): string {
    return JSON.stringify(this.#random.pick(STRINGS));
  }

  #fresh(): string {
    return `v${this.#variables++}`;
  }
}

export function generateProgram(seed: number): Program {
  return new Generator(new Random(seed)).program();
}

/** Smaller programs to try, most drastic first. */
export function* shrink(program: Program): Generator_<Program> {
  const { rules } = program;
  for (let i = 0; i < rules.length; i++) yield { ...program, rules: rules.filter((_, j) => j !== i) };
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as GeneratedRule;
    const replace = (changed: GeneratedRule): Program => ({
      ...program,
      rules: rules.map((old, j) => (j === i ? changed : old)),
    });
    if (rule.tail !== "") yield replace({ ...rule, tail: "" });
    for (let k = 0; k < rule.body.length; k++) yield replace({ ...rule, body: rule.body.filter((_, j) => j !== k) });
    for (let k = 0; k < rule.body.length; k++) {
      for (const smaller of shrinkLine(rule.body[k] as string))
        yield replace({ ...rule, body: rule.body.map((line, j) => (j === k ? smaller : line)) });
    }
    for (const smaller of shrinkLine(rule.head)) yield replace({ ...rule, head: smaller });
  }
}
type Generator_<T> = Iterable<T>;

/** Replaces one bracketed part, call or string of a line by something simple. */
function* shrinkLine(line: string): Iterable<string> {
  for (const match of line.matchAll(/[\w.]*\([^()]*\)|\[[^[\]]*\]|\{[^{}]*\}|"[^"]+"/g)) {
    for (const simple of ["1", "input.a"]) {
      if (match[0] !== simple) yield line.slice(0, match.index) + simple + line.slice(match.index + match[0].length);
    }
  }
}
