import type { Location } from "../../base/index.ts";
import {
  type Body,
  type Expr,
  type RefTerm,
  type StringTerm,
  type Term,
  termToText,
  type VarTerm,
  visit,
  type With,
} from "../syntax/index.ts";
import { canonicalText, type Value } from "../value/index.ts";
import { constantOf } from "./constants.ts";
import type { Group, Node } from "./documents.ts";
import { inlineCall } from "./inline.ts";
import { Js, js } from "./js.ts";
import type { CallableBuiltin, Unit } from "./unit.ts";

/** What bodies of one program share while they are generated. */
export interface Scope {
  readonly unit: Unit;
  readonly root: Node;
  readonly builtins: ReadonlyMap<string, CallableBuiltin>;
  /** The JavaScript function of a group: `r3(c)`, `f4(c, a, b)`. */
  groupFunction(group: Group): Js;
  /** The function that evaluates a set or a partial object at one key: `q3(c, key)`; undefined where there is none. */
  keyedFunction(group: Group): Js | undefined;
  /** True where some `with` of the program may replace the document at this path or above. */
  mayBeHidden(path: readonly Value[]): boolean;
  /** True where some `with` of the program may replace this function (`data.p.f`, `http.send`). */
  mayBeMocked(name: string): boolean;
  /** Keeps a list of functions beside those of the groups. @returns its name */
  table(functions: readonly Js[]): Js;
  /** Report what is evaluated to the session's tracer. */
  readonly traced: boolean;
  /** See GenerateOptions. */
  readonly optimised: boolean;
}

type Continue = (value: Js) => void;

/** Where code is being generated: which blocks it is in. */
interface Place {
  readonly line: number;
  readonly fail: Js;
  readonly frame: Js;
  readonly loops: number;
}

/**
 * Generates straight-line JavaScript for bodies. Every construct either goes on to the next (the continuation is
 * generated inside it, so iteration nests) or leaves by the current `fail` statement, a labelled `break` or `continue`.
 * After the last statement of a construct there are no more solutions.
 */
export class BodyEmitter {
  readonly #scope: Scope;
  readonly #lines: Js[] = [];
  #vars: Map<string, Js>;
  #fail: Js;
  /** The evaluation frame in force: another one inside `with`. */
  #frame: Js = js`c`;
  #loops = 0;
  /** Documents already looked up, and found, where we are: by frame and path. */
  #found = new Map<string, Js>();
  /** The order of iteration can be seen: in array comprehensions and in queries. */
  #ordered: boolean;

  /** @param fail statement that leaves when there is no solution; @param vars values already known, by variable. */
  constructor(
    scope: Scope,
    fail: Js,
    { vars = new Map(), ordered = false }: { vars?: ReadonlyMap<string, Js>; ordered?: boolean } = {},
  ) {
    this.#scope = scope;
    this.#fail = fail;
    this.#ordered = ordered;
    this.#vars = new Map(vars);
  }

  get source(): Js {
    return Js.lines(this.#lines);
  }

  get frame(): Js {
    return this.#frame;
  }

  /** True inside a loop of this body: what follows may happen more than once. */
  get isIterating(): boolean {
    return this.#loops > 0;
  }

  line(code: Js): void {
    this.#lines.push(code);
  }

  failWhen(condition: Js): void {
    this.line(js`if (${condition}) ${this.#fail}`);
  }

  fail(): void {
    this.line(this.#fail);
  }

  variable(name: string): Js | undefined {
    return this.#vars.get(name);
  }

  get variables(): ReadonlyMap<string, Js> {
    return this.#vars;
  }

  // ---- bodies -------------------------------------------------------------------------------------------------

  body(body: Body, next: () => void): void {
    this.#inTurn(body, (expr, then) => this.expr(expr, then), next);
  }

  /**
   * Generates each step inside of the one before, and `next` inside of the last. The steps' own calls do not nest: what a step
   * generates after going on (the ends of its blocks) is cut off and put back at the end, so that a body may be long.
   */
  #inTurn<T>(steps: Iterable<T>, emit: (step: T, then: () => void) => void, next: () => void): void {
    const outer = this.#place();
    const endings: Js[][] = [];
    let solvable = true;
    for (const step of steps) {
      let reached: Place | undefined;
      emit(step, () => {
        if (reached !== undefined) throw new TypeError("a construct went on twice");
        reached = this.#place();
      });
      if (reached === undefined) {
        solvable = false;
        break;
      }
      endings.push(this.#lines.splice(reached.line));
      this.#return(reached);
    }
    if (solvable) next();
    for (const ending of endings.reverse()) for (const line of ending) this.line(line);
    this.#return(outer);
  }

  #place(): Place {
    return { line: this.#lines.length, fail: this.#fail, frame: this.#frame, loops: this.#loops };
  }

  #return({ fail, frame, loops }: Place): void {
    this.#fail = fail;
    this.#frame = frame;
    this.#loops = loops;
  }

  /**
   * Generates the cheap tests of a rule's body (`input.method == "GET"`, `[a, "x"] = input.path`, `"admin" in input.roles`)
   * ahead of the rest, and then the body. OPA's rule index does the same: where such a test fails nothing else of the body is
   * evaluated, so that conflicts in it are not seen. Bodies that print are not indexed (v1/ast/index.go).
   */
  ruleBody(body: Body, next: () => void): void {
    if (hasEffect(body) || !this.#scope.optimised) return this.body(body, next);
    const done = new Set<Expr>();
    const defined: Term[] = [];
    const aliases = new Map<string, Term>();
    // Once something else has been met that may raise an error, what must be defined is looked up ahead of it.
    let late = false;
    for (const expr of body) {
      const test = indexableTest(expr, aliases, (name) => this.#vars.has(name));
      if (test === undefined || !this.#isBase(test.reference)) {
        late = true;
        continue;
      }
      if (test.kind === "defined") {
        if (test.alias !== undefined && this.#vars.has(test.alias)) {
          late = true;
          continue;
        }
        if (test.alias !== undefined) aliases.set(test.alias, test.reference);
        if (late) defined.push(test.reference);
        continue;
      }
      if (test.kind === "member") {
        this.#call(test.operator, test.args, expr.at, () => {});
        if (!this.#scope.traced) done.add(expr);
        continue;
      }
      this.term(test.reference, (value) => this.#testShape(test.shape, value));
      if (test.shape.kind !== "array" && !this.#scope.traced) done.add(expr);
    }
    for (const reference of defined) this.term(reference, () => {});
    this.body(done.size === 0 ? body : body.filter((expr) => !done.has(expr)), next);
  }

  /** True for a reference that meets no rule. */
  #isBase(term: Term): boolean {
    if (term.kind !== "ref" || (term.terms[0] as VarTerm).name !== "data") return true;
    let node: Node | undefined = this.#scope.root;
    for (const element of term.terms.slice(1)) {
      node = node.child(constantOf(element) as Value);
      if (node === undefined) return true;
      if (node.group !== undefined) return false;
    }
    return false;
  }

  #testShape(shape: Term, value: Js): void {
    if (shape.kind === "array") {
      this.failWhen(js`!rt.isArrayOf(${value}, ${shape.items.length})`);
      shape.items.forEach((item, i) => {
        if (isShape(item)) this.#testShape(item, this.#hold(js`${value}[${i}]`));
      });
    } else this.#failUnlessEqual(this.#literal(constantOf(shape) as Value), value, shape, shape);
  }

  expr(expr: Expr, next: () => void): void {
    this.trace("eval", expr.at);
    const traced = (): void => {
      this.trace("exit", expr.at);
      next();
    };
    this.#withModifiers(
      expr.with,
      (then) => {
        if (expr.negated) this.#absent(expr.at, (found) => this.#form(expr, found), then);
        else this.#form(expr, then);
      },
      traced,
    );
  }

  /** `emit` in a frame changed by `with` modifiers; what follows it is back in the frame of before. */
  #withModifiers(modifiers: readonly With[], emit: (then: () => void) => void, next: () => void): void {
    if (modifiers.length === 0) return emit(next);
    const outer = this.#frame;
    const replacements: Js[] = [];
    const go = (i: number): void => {
      const modifier = modifiers[i];
      if (modifier !== undefined) {
        return this.#replacement(modifier, (replacement) => {
          replacements.push(replacement);
          go(i + 1);
        });
      }
      const inner = this.#hold(js`rt.replace(${outer}, [${Js.list(replacements)}])`);
      this.#frame = inner;
      emit(() => {
        this.#frame = outer;
        next();
        this.#frame = inner;
      });
      this.#frame = outer;
    };
    go(0);
  }

  #replacement(modifier: With, next: Continue): void {
    const target = modifier.target.kind === "ref" ? modifier.target.terms : [modifier.target];
    const head = target[0] as Term;
    const root = head.kind === "var" ? head.name : "";
    const path = target.slice(1).map((term) => (term.kind === "string" ? term.value : (constantOf(term) as Value)));
    if (root === "input")
      return this.term(modifier.value, (value) =>
        next(js`{ kind: "input", path: ${this.#scope.unit.value(path)}, value: ${value} }`),
      );
    if (root === "data" && this.#scope.root.at(path)?.isFunction !== true) {
      return this.term(modifier.value, (value) =>
        next(js`{ kind: "data", path: ${this.#scope.unit.value(path)}, value: ${value} }`),
      );
    }
    const name = functionName(target);
    this.#mock(modifier.value, (mock) => next(js`{ kind: "function", name: ${name}, mock: ${mock} }`));
  }

  #mock(value: Term, next: Continue): void {
    const terms = value.kind === "ref" ? value.terms : value.kind === "var" ? [value] : undefined;
    if (terms !== undefined) {
      const group = this.#functionGroup(terms);
      if (group !== undefined) return next(js`{ kind: "function", call: ${this.#scope.groupFunction(group)} }`);
      const head = terms[0] as Term;
      const builtin =
        head.kind === "var" && !this.#vars.has(head.name) ? this.#scope.builtins.get(functionName(terms)) : undefined;
      if (builtin !== undefined) {
        const params = builtin.accepts.map(() => this.#scope.unit.fresh("a"));
        const inner = new BodyEmitter(this.#scope, js`return undefined;`, { vars: this.#vars });
        inner.#builtinCall(builtin, params, value.at, (result) => inner.line(js`return ${result};`));
        return next(js`{ kind: "function", call: (${Js.list([js`c`, ...params])}) => { ${inner.source} } }`);
      }
    }
    this.term(value, (v) => next(js`{ kind: "value", value: ${v} }`));
  }

  #functionGroup(terms: readonly Term[]): Group | undefined {
    const head = terms[0] as Term;
    if (head.kind !== "var" || head.name !== "data") return undefined;
    let node: Node | undefined = this.#scope.root;
    for (const term of terms.slice(1)) {
      const key = constantOf(term);
      node = key === undefined ? undefined : node?.child(key);
    }
    return node?.group?.kind === "function" ? node.group : undefined;
  }

  /** What a call calls: a function, or a complete rule written as one without arguments (`f() := 1`). */
  #calledGroup(operator: RefTerm): Group | undefined {
    const group = this.#functionGroup(operator.terms);
    if (group !== undefined) return group;
    const path = operator.terms.slice(1).map(constantOf);
    const head = operator.terms[0] as Term;
    if (head.kind !== "var" || head.name !== "data" || path.includes(undefined)) return undefined;
    const called = this.#scope.root.at(path as readonly Value[])?.group;
    return called?.kind === "complete" ? called : undefined;
  }

  #form(expr: Expr, next: () => void): void {
    const { form } = expr;
    switch (form.kind) {
      case "term":
        return this.#statement(form.term, next);
      case "call":
        return this.#call(form.operator, form.args, expr.at, next);
      case "some":
        // Declarations leave nothing to do; `some … in` has been rewritten by the compiler.
        return next();
      case "every":
        return this.#every(form, next);
      case "not":
        return this.#absent(expr.at, (found) => this.body(form.body, found), next);
      case "logical":
        return this.#logical(form.operator, form.left, form.right, next);
    }
  }

  /** A term as a statement: holds for each of its values that is not false. */
  #statement(term: Term, next: () => void): void {
    this.term(term, (value) => {
      const constant = constantOf(term);
      if (constant === undefined || constant === false) this.failWhen(js`${value} === false`);
      next();
    });
  }

  /** Goes on exactly if `emit` has no solution. */
  #absent(at: Location, emit: (found: () => void) => void, next: () => void): void {
    const found = this.#probe(at, emit);
    this.failWhen(found);
    next();
  }

  /** A variable that tells whether `emit` has a solution; variables bound inside stay inside. */
  #probe(at: Location, emit: (found: () => void) => void): Js {
    const found = this.#scope.unit.fresh("h");
    const label = this.#scope.unit.fresh("b");
    this.line(js`let ${found} = false;`);
    this.#tracedBlock(label, at, () =>
      this.#closed(js`break ${label};`, () => emit(() => this.line(js`${found} = true; break ${label};`))),
    );
    return found;
  }

  /** Generates inside a block of its own that is left by `fail`; variables bound inside are forgotten. */
  #closed(fail: Js, emit: () => void, ordered = false): void {
    const saved = {
      vars: this.#vars,
      found: this.#found,
      fail: this.#fail,
      loops: this.#loops,
      ordered: this.#ordered,
    };
    this.#vars = new Map(this.#vars);
    this.#found = new Map(this.#found);
    this.#fail = fail;
    this.#ordered = ordered;
    emit();
    this.#vars = saved.vars;
    this.#found = saved.found;
    this.#fail = saved.fail;
    this.#loops = saved.loops;
    this.#ordered = saved.ordered;
  }

  #every(form: Extract<Expr["form"], { kind: "every" }>, next: () => void): void {
    this.term(form.domain, (domain) => {
      const holds = this.#scope.unit.fresh("h");
      this.line(js`let ${holds} = true;`);
      const label = this.#scope.unit.fresh("b");
      this.failWhen(js`rt.keysOf(${domain}) === undefined`);
      this.line(js`${label}: {`);
      this.#closed(js`break ${label};`, () => {
        this.#iterate(domain, (key, value) => {
          if (form.key !== undefined) this.#vars.set(form.key.name, key());
          this.#vars.set(form.value.name, value());
          const found = this.#probe(bodyAt(form.body), (done) => this.body(form.body, done));
          this.line(js`if (!${found}) { ${holds} = false; break ${label}; }`);
        });
      });
      this.line(js`}`);
      this.failWhen(js`!${holds}`);
      next();
    });
  }

  #logical(operator: "and" | "or", left: Body, right: Body, next: () => void): void {
    const first = this.#probe(bodyAt(left), (found) => this.body(left, found));
    const result = this.#scope.unit.fresh("h");
    this.line(js`let ${result} = ${first};`);
    this.line(operator === "and" ? js`if (${result}) {` : js`if (!${result}) {`);
    const second = this.#probe(bodyAt(right), (found) => this.body(right, found));
    this.line(js`${result} = ${second}; }`);
    this.failWhen(js`!${result}`);
    next();
  }

  // ---- iteration ----------------------------------------------------------------------------------------------

  /** Runs `each` for every member of a collection; key and value are generated only if asked for. Fails on scalars. */
  #iterate(collection: Js, each: (key: () => Js, value: () => Js) => void): void {
    const { unit } = this.#scope;
    const keys = unit.fresh("ks");
    const n = unit.fresh("n");
    const i = unit.fresh("i");
    this.line(
      js`const ${keys} = ${this.#ordered || !this.#scope.optimised ? js`rt.keysOf` : js`rt.anyKeysOf`}(${collection});`,
    );
    this.failWhen(js`${keys} === undefined`);
    this.line(js`const ${n} = ${keys} === null ? ${collection}.length : ${keys}.length;`);
    this.#loop(js`let ${i} = 0; ${i} < ${n}; ${i}++`, () => {
      const once = (make: (name: Js) => Js): (() => Js) => {
        let name: Js | undefined;
        return () => {
          if (name === undefined) {
            name = unit.fresh("v");
            this.line(make(name));
          }
          return name;
        };
      };
      const key = once((name) => js`const ${name} = ${keys} === null ? ${i} : ${keys}[${i}];`);
      const value = once(
        (name) => js`const ${name} = ${keys} === null ? ${collection}[${i}] : rt.at(${collection}, ${keys}[${i}]);`,
      );
      each(key, value);
    });
  }

  /** A loop whose turns are counted against the step budget. */
  #loop(header: Js, emit: () => void): void {
    const label = this.#scope.unit.fresh("l");
    this.line(js`${label}: for (${header}) {`);
    this.line(js`if (--c.session.steps < 0) c.session.tick();`);
    const fail = this.#fail;
    this.#fail = js`continue ${label};`;
    this.#loops++;
    emit();
    this.#loops--;
    this.#fail = fail;
    this.line(js`}`);
  }

  // ---- terms --------------------------------------------------------------------------------------------------

  /** Generates code that runs `next` for every value of a term. Undefined means no turn at all. */
  term(term: Term, next: Continue): void {
    const constant = this.#scope.optimised || isScalar(term) ? constantOf(term) : undefined;
    if (constant !== undefined) return next(this.#literal(constant));
    switch (term.kind) {
      case "var": {
        const known = this.#vars.get(term.name);
        if (known !== undefined) return next(known);
        if (term.name === "input" || term.name === "data")
          return this.#ref({ kind: "ref", terms: [term], at: term.at }, next);
        return this.#unbound(`var ${term.name} requires evaluation`, term.at);
      }
      case "ref":
        return this.#ref(term, next);
      case "array":
        return this.#terms(term.items, (items) => next(this.#hold(js`[${Js.list(items)}]`)));
      case "set":
        return this.#terms(term.items, (items) => next(this.#hold(js`rt.RegoSet.of([${Js.list(items)}])`)));
      case "object":
        return this.#terms(term.entries.flat(), (items) => {
          const pairs: Js[] = [];
          for (let i = 0; i < items.length; i += 2) pairs.push(js`[${items[i] as Js}, ${items[i + 1] as Js}]`);
          next(this.#hold(js`rt.RegoObject.of([${Js.list(pairs)}])`));
        });
      case "arraycomprehension":
        return next(
          this.#comprehension(
            js`[]`,
            term.body,
            (out) => this.term(term.term, (value) => this.line(js`${out}.push(${value});`)),
            true,
          ),
        );
      case "setcomprehension":
        return next(
          this.#comprehension(js`new rt.RegoSet()`, term.body, (out) =>
            this.term(term.term, (value) => this.line(js`${out}.add(${value});`)),
          ),
        );
      case "objectcomprehension":
        return next(
          this.#comprehension(js`new rt.RegoObject()`, term.body, (out) =>
            this.#terms([term.key, term.value], ([key, value]) =>
              this.line(
                js`rt.putUnique(${out}, ${key as Js}, ${value as Js}, ${this.#scope.unit.location(term.key.at)});`,
              ),
            ),
          ),
        );
      case "call":
        return this.#callValue(term.operator, term.args, term.at, next);
      default:
        throw new TypeError(`no code for ${term.kind}`);
    }
  }

  #terms(terms: readonly Term[], next: (values: readonly Js[]) => void): void {
    const values: Js[] = [];
    this.#inTurn(
      terms,
      (term, then) =>
        this.term(term, (value) => {
          values.push(value);
          then();
        }),
      () => next(values),
    );
  }

  #literal(value: Value): Js {
    if (value === null || typeof value === "string" || typeof value === "boolean") return js`${value}`;
    // In parentheses: `1.length` is no JavaScript.
    if (typeof value === "number" && !Object.is(value, -0)) return js`(${value})`;
    return this.#scope.unit.value(value);
  }

  /** Keeps the value of an expression in a constant. */
  #hold(code: Js): Js {
    const name = this.#scope.unit.fresh("v");
    this.line(js`const ${name} = ${code};`);
    return name;
  }

  #comprehension(empty: Js, body: Body, collect: (out: Js) => void, ordered = false): Js {
    const out = this.#hold(empty);
    const label = this.#scope.unit.fresh("b");
    this.#tracedBlock(label, bodyAt(body), () =>
      this.#closed(js`break ${label};`, () => this.body(body, () => collect(out)), ordered),
    );
    return out;
  }

  // ---- references ---------------------------------------------------------------------------------------------

  #ref(ref: RefTerm, next: Continue): void {
    const head = ref.terms[0] as Term;
    if (head.kind === "var" && !this.#vars.has(head.name)) {
      if (head.name === "input") {
        return this.#rootPath("input", ref.terms, next);
      }
      if (head.name === "data") return this.#dataRef(ref, next);
      return this.fail(); // as in OPA, what a variable without a value holds is undefined
    }
    this.term(head, (value) => this.#path(value, ref.terms, 1, next));
  }

  /** Walks from a value along the rest of a reference, looking up what is bound (with `look`) and iterating over what is not. */
  #path(value: Js, terms: readonly Term[], from: number, next: Continue, look = js`rt.get`): void {
    const element = terms[from];
    if (element === undefined) return next(value);
    if (element.kind === "string") {
      const found = this.#hold(js`rt.member(${value}, ${element.value})`);
      this.failWhen(js`${found} === undefined`);
      return this.#path(found, terms, from + 1, next, look);
    }
    if (this.#isPattern(element)) {
      return this.#iterate(value, (key, member) => {
        if (element.kind === "var") {
          if (!isWildcard(element.name)) this.#vars.set(element.name, key());
          this.#path(member(), terms, from + 1, next);
        } else this.#match(element, key(), () => this.#path(member(), terms, from + 1, next));
      });
    }
    this.term(element, (key) => {
      const found = this.#hold(js`${look}(${value}, ${key})`);
      this.failWhen(js`${found} === undefined`);
      this.#path(found, terms, from + 1, next, look);
    });
  }

  #dataRef(ref: RefTerm, next: Continue): void {
    const { terms } = ref;
    let node = this.#scope.root;
    let at = 1;
    while (at < terms.length && node.group === undefined) {
      const key = constantOf(terms[at] as Term);
      const child = key === undefined ? undefined : node.child(key);
      if (child === undefined) break;
      node = child;
      at++;
    }
    const { group } = node;
    if (group !== undefined)
      return group.kind === "function" ? this.fail() : this.#ruleRef(group, node, terms, at, next);
    const element = terms[at];
    if (node.children.length === 0 && at > 1) {
      // A package without rules: base data, or an empty object.
      if (element !== undefined) return this.#baseRef(terms, next);
    }
    if (element === undefined) {
      const path = this.#scope.unit.node(node);
      const document = this.#hold(js`rt.documentAt(${this.#frame}, ${path}, rt.baseAt(${this.#frame}, ${path}.path))`);
      this.failWhen(js`${document} === undefined`);
      return next(document);
    }
    if (constantOf(element) !== undefined) return this.#baseRef(terms, next); // no such child: only base data can answer
    const cursor = this.#hold(js`rt.cursorAt(${this.#frame}, ${this.#scope.unit.node(node)})`);
    this.#cursor(cursor, terms, at, next);
  }

  /** A reference that meets no rule on its way. */
  #baseRef(terms: readonly Term[], next: Continue): void {
    this.#rootPath("data", terms, next, js`rt.stored`);
  }

  /** A reference into `input` or base data. Its longest known prefix of strings is not looked up again. */
  #rootPath(root: "input" | "data", terms: readonly Term[], next: Continue, look?: Js): void {
    const prefix = (length: number): string =>
      JSON.stringify([
        this.#frame.text,
        root,
        ...terms.slice(1, length).map((term) => (term.kind === "string" ? term.value : "")),
      ]);
    let strings = 1;
    while (terms[strings]?.kind === "string") strings++;
    let from = strings;
    while (from > 0 && !this.#found.has(prefix(from))) from--;
    let value = this.#found.get(prefix(from));
    if (value === undefined) {
      value = this.#hold(js`${this.#frame}.${Js.ident(root)}`);
      if (root === "input") this.failWhen(js`${value} === undefined`);
      from = 1;
      if (this.#scope.optimised) this.#found.set(prefix(1), value);
    }
    for (; from < strings; from++) {
      const below: Js = this.#hold(js`rt.member(${value}, ${(terms[from] as StringTerm).value})`);
      this.failWhen(js`${below} === undefined`);
      if (this.#scope.optimised) this.#found.set(prefix(from + 1), below);
      value = below;
    }
    this.#path(value, terms, strings, next, look);
  }

  #ruleRef(group: Group, node: Node, terms: readonly Term[], at: number, next: Continue): void {
    const { unit } = this.#scope;
    const frame = this.#frame;
    const hideable = this.#scope.mayBeHidden(node.path);
    const path = hideable ? js`${unit.node(node)}.path` : js`null`;
    const element = terms[at];
    const keyed = element !== undefined && !this.#isPattern(element) ? this.#scope.keyedFunction(group) : undefined;
    if (keyed !== undefined) {
      return this.term(element as Term, (key) => {
        const call = js`${keyed}(${frame}, ${key})`;
        const value = this.#hold(
          hideable
            ? js`rt.isHidden(${frame}, ${path}) ? rt.baseAt(${frame}, ${path}.concat([${key}])) : ${call}`
            : call,
        );
        this.failWhen(js`${value} === undefined`);
        this.#path(value, terms, at + 1, next);
      });
    }
    const call = js`${this.#scope.groupFunction(group)}(${frame})`;
    const value = this.#hold(
      hideable ? js`rt.isHidden(${frame}, ${path}) ? rt.baseAt(${frame}, ${path}) : ${call}` : call,
    );
    this.failWhen(js`${value} === undefined`);
    this.#path(value, terms, at, next);
  }

  /** Walks `data` where the next key is only known at run time: rules and base data side by side. */
  #cursor(cursor: Js, terms: readonly Term[], at: number, next: Continue): void {
    const { unit } = this.#scope;
    const element = terms[at];
    if (element === undefined) {
      const value = this.#hold(js`rt.cursorValue(${this.#frame}, ${cursor})`);
      this.failWhen(js`${value} === undefined`);
      return next(value);
    }
    const step = (key: Js): void => {
      const below = this.#hold(js`rt.cursorStep(${this.#frame}, ${cursor}, ${key})`);
      this.failWhen(js`${below} === undefined`);
      this.#cursor(below, terms, at + 1, next);
    };
    if (!this.#isPattern(element)) return this.term(element, step);
    const keys = this.#hold(js`rt.cursorKeys(${cursor})`);
    const i = unit.fresh("i");
    this.#loop(js`let ${i} = 0; ${i} < ${keys}.length; ${i}++`, () => {
      const key = this.#hold(js`${keys}[${i}]`);
      this.#match(element, key, () => step(key));
    });
  }

  // ---- unification --------------------------------------------------------------------------------------------

  /** True for a term that can be matched against a value to bind variables: it holds an unbound variable outside of references and calls. */
  #isPattern(term: Term): boolean {
    switch (term.kind) {
      case "var":
        return !this.#vars.has(term.name) && term.name !== "input" && term.name !== "data";
      case "array":
      case "set":
        return term.items.some((item) => this.#isPattern(item));
      case "object":
        return term.entries.some(([, value]) => this.#isPattern(value));
      default:
        return false;
    }
  }

  /**
   * A variable has no value where one is needed. OPA's compiler lets a few through, as where an expression has a closure over
   * another variable (`[x | x == y] != z`): its evaluation fails when it gets there (v1/topdown/eval.go).
   */
  #unbound(message: string, at: Location): void {
    this.line(js`throw rt.unbound(${message}, ${this.#scope.unit.location(at)});`);
  }

  unify(a: Term, b: Term, next: () => void): void {
    if (a.kind === "array" && b.kind === "array" && (this.#isPattern(a) || this.#isPattern(b))) {
      if (a.items.length !== b.items.length) return this.fail();
      return this.#unifyPairs(
        a.items.map((item, i) => [item, b.items[i] as Term] as const),
        next,
      );
    }
    if (a.kind === "object" && b.kind === "object" && (this.#isPattern(a) || this.#isPattern(b))) {
      const pairs = pairEntries(a.entries, b.entries);
      if (pairs !== undefined) return pairs === "differ" ? this.fail() : this.#unifyPairs(pairs, next);
    }
    if (this.#isPattern(a)) return this.term(b, (value) => this.#match(a, value, next));
    if (this.#isPattern(b)) return this.term(a, (value) => this.#match(b, value, next));
    if (isComprehension(a) !== isComprehension(b)) {
      // A comprehension is not evaluated against a value of another type (OPA v1/topdown/eval.go, biunify).
      const [plain, comprehension] = isComprehension(a) ? [b, a] : [a, b];
      return this.term(plain, (x) => {
        this.failWhen(typeTest(x, [comprehension.kind.replace("comprehension", "")]) as Js);
        this.term(comprehension, (y) => {
          this.#failUnlessEqual(x, y, plain, comprehension);
          next();
        });
      });
    }
    this.#terms([a, b], ([x, y]) => {
      this.#failUnlessEqual(x as Js, y as Js, a, b);
      next();
    });
  }

  /** Unifies pairs in an order in which one side is known: `[x, y] = [y, 1]` binds y first. */
  #unifyPairs(pairs: readonly (readonly [Term, Term])[], next: () => void): void {
    const left = [...pairs];
    const emit = ([a, b]: readonly [Term, Term], then: () => void): void => {
      // Variables without values on both sides have nothing to say to each other.
      if (isFree(a) || isFree(b) || (a.kind === "var" && b.kind === "var" && this.#isPattern(a) && this.#isPattern(b)))
        return then();
      if (this.#isPattern(a) && this.#isPattern(b) && !isPair(a, b)) this.#unbound("no side of `=` has a value", a.at);
      else this.unify(a, b, then);
    };
    const isPair = (a: Term, b: Term): boolean => a.kind === b.kind && a.kind !== "var" && a.kind !== "set";
    const isFree = (term: Term): boolean => term.kind === "var" && isWildcard(term.name) && !this.#vars.has(term.name);
    const inOrder = function* (isPattern: (term: Term) => boolean): Generator<readonly [Term, Term]> {
      while (left.length > 0) {
        const ready = left.findIndex(([a, b]) => !(isPattern(a) && isPattern(b)) || isPair(a, b));
        yield* left.splice(Math.max(ready, 0), 1);
      }
    };
    this.#inTurn(
      inOrder((term) => this.#isPattern(term)),
      emit,
      next,
    );
  }

  #failUnlessEqual(x: Js, y: Js, a: Term, b: Term): void {
    if (isIdentityConstant(a) || isIdentityConstant(b)) return this.failWhen(js`${x} !== ${y}`);
    this.failWhen(js`${x} !== ${y} && !rt.eq(${x}, ${y})`);
  }

  /** Matches a value against a pattern, binding its unbound variables. */
  match(pattern: Term, value: Js, next: () => void): void {
    this.#match(pattern, value, next);
  }

  #match(pattern: Term, value: Js, next: () => void): void {
    switch (pattern.kind) {
      case "var":
        if (this.#isPattern(pattern)) {
          this.#vars.set(pattern.name, value);
          return next();
        }
        break;
      case "array":
        if (constantOf(pattern) !== undefined) break;
        this.failWhen(js`!rt.isArrayOf(${value}, ${pattern.items.length})`);
        return this.#matchAll(
          pattern.items.map((item, i) => [item, () => js`${value}[${i}]`] as const),
          next,
        );
      case "object":
        if (constantOf(pattern) !== undefined || !this.#isPattern(pattern)) break;
        this.failWhen(js`!rt.isObjectOf(${value}, ${pattern.entries.length})`);
        return this.#terms(
          pattern.entries.map(([key]) => key),
          (keys) => {
            const members = pattern.entries.map(([, term], i) => {
              const member = this.#hold(js`rt.get(${value}, ${keys[i] as Js})`);
              this.failWhen(js`${member} === undefined`);
              return [term, () => member] as const;
            });
            this.#matchAll(members, next);
          },
        );
      case "set":
        // References may hold `{x}`, but a set with an unbound variable equals nothing (OPA v1/topdown/eval.go, biunifyValues).
        if (this.#isPattern(pattern)) return this.fail();
        break;
      default:
        break;
    }
    this.term(pattern, (known) => {
      this.#failUnlessEqual(known, value, pattern, pattern);
      next();
    });
  }

  #matchAll(pairs: readonly (readonly [Term, () => Js])[], next: () => void): void {
    this.#inTurn(pairs, ([pattern, value], then) => this.#match(pattern, this.#hold(value()), then), next);
  }

  // ---- calls --------------------------------------------------------------------------------------------------

  /** A call as a statement, with or without its output. */
  #call(operator: RefTerm, args: readonly Term[], at: Location, next: () => void): void {
    const name = functionName(operator.terms);
    if (name === "eq" || name === "assign") return this.unify(args[0] as Term, args[1] as Term, next);
    const group = this.#calledGroup(operator);
    const builtin = group === undefined ? this.#builtin(name) : undefined;
    const arity = group?.arity ?? (builtin?.variadic === true ? args.length : (builtin?.accepts.length as number));
    if (args.length > arity) {
      const output = args[arity] as Term;
      return this.#callValue(operator, args.slice(0, arity), at, (value) => {
        this.#match(output, value, next);
      });
    }
    if (builtin?.isVoid === true) {
      return this.#terms(args, (values) => {
        this.#void(builtin, values, at);
        next();
      });
    }
    this.#callValue(operator, args, at, (value) => {
      this.failWhen(js`${value} === false`);
      next();
    });
  }

  #builtin(name: string): CallableBuiltin {
    const builtin = this.#scope.builtins.get(name);
    if (builtin === undefined) throw new TypeError(`unknown function ${name}`);
    return builtin;
  }

  #void(builtin: CallableBuiltin, args: readonly Js[], at: Location): void {
    this.line(js`c.session.location = ${this.#scope.unit.location(at)};`);
    this.line(js`${this.#scope.unit.builtin(builtin)}(${Js.list([this.#frame, ...args])});`);
  }

  /** Runs `next` for each result of a call (one, unless the function is a relation). */
  #callValue(operator: RefTerm, args: readonly Term[], at: Location, next: Continue): void {
    const name = functionName(operator.terms);
    const group = this.#calledGroup(operator);
    const frame = this.#frame;
    const missing = group === undefined ? args.findIndex((arg) => this.#isPattern(arg)) : -1;
    if (missing !== -1) {
      const arg = args[missing] as Term;
      return this.#unbound(
        `built-in function ${name} called with operand ${missing + 1} that requires evaluation: ${termToText(arg)}`,
        arg.at,
      );
    }
    this.#terms(args, (values) => {
      const mocked = this.#scope.mayBeMocked(name);
      if (group !== undefined) {
        const call = js`${this.#scope.groupFunction(group)}(${Js.list([frame, ...values])})`;
        const result = this.#hold(
          mocked
            ? js`${frame}.mocks !== null && ${frame}.mocks.has(${name}) ? rt.callMock(${Js.list([frame, name, ...values])}) : ${call}`
            : call,
        );
        this.failWhen(js`${result} === undefined`);
        return next(result);
      }
      const builtin = this.#builtin(name);
      if (!mocked) return this.#builtinCall(builtin, values, at, next);
      const result = this.#scope.unit.fresh("v");
      this.line(js`let ${result};`);
      this.line(
        js`if (${frame}.mocks !== null && ${frame}.mocks.has(${name})) ${result} = rt.callMock(${Js.list([frame, name, ...values])}); else {`,
      );
      const label = this.#scope.unit.fresh("b");
      this.line(js`${label}: {`);
      this.#closed(js`break ${label};`, () =>
        this.#builtinCall(builtin, values, at, (value) => this.line(js`${result} = ${value};`)),
      );
      this.line(js`} }`);
      this.failWhen(js`${result} === undefined`);
      next(result);
    });
  }

  #builtinCall(builtin: CallableBuiltin, args: readonly Js[], at: Location, next: Continue): void {
    const { unit } = this.#scope;
    const inlined = this.#scope.optimised ? inlineCall(builtin, args) : undefined;
    if (inlined?.kind === "total") return next(this.#hold(inlined.code));
    const result = unit.fresh("v");
    const place = unit.location(at);
    this.line(js`let ${result};`);
    const checks = builtin.accepts.flatMap((accepts, i) => {
      const wrong = typeTest(args[i] as Js, accepts);
      if (wrong === undefined) return [];
      return [
        js`if (${wrong}) ${result} = rt.operand(${this.#frame}, ${i + 1}, ${unit.value(accepts)}, ${args[i] as Js}, ${builtin.name}, ${place}); else `,
      ];
    });
    if (inlined !== undefined) this.line(js`if (${inlined.when}) ${result} = ${inlined.code}; else `);
    this.line(
      js`${concat(checks)}try { ${result} = ${unit.builtin(builtin)}(${Js.list([this.#frame, ...args])}); } catch (e) { ${result} = rt.failed(${this.#frame}, e, ${builtin.name}, ${place}); }`,
    );
    if (builtin.nondeterministic)
      this.line(js`rt.record(${this.#frame}, ${builtin.name}, [${Js.list(args)}], ${result});`);
    this.failWhen(js`${result} === undefined`);
    if (!builtin.relation) return next(result);
    const i = unit.fresh("i");
    this.#loop(js`let ${i} = 0; ${i} < ${result}.length; ${i}++`, () => next(this.#hold(js`${result}[${i}]`)));
  }

  // ---- tracing ------------------------------------------------------------------------------------------------

  /** In the traced build: reports that a rule or expression is reached, or has succeeded. */
  trace(kind: "enter" | "eval" | "exit", at: Location): void {
    if (!this.#scope.traced) return;
    this.line(
      js`if (c.session.options.tracer !== undefined) c.session.options.tracer.event(${kind}, ${this.#scope.unit.location(at)}, ${this.#locals()});`,
    );
  }

  /** A block that reports, in the traced build, that it is entered and left. */
  #tracedBlock(label: Js, at: Location, emit: () => void): void {
    this.line(js`${label}: {`);
    if (this.#scope.traced) {
      this.line(js`try {`);
      this.trace("enter", at);
    }
    emit();
    this.line(this.#scope.traced ? js`} ${leaving(this.#scope, at)} }` : js`}`);
  }

  #locals(): Js {
    const known = [...this.#vars].filter(([name]) => !isWildcard(name));
    return js`() => new Map([${Js.list(known.map(([name, value]) => js`[${name}, ${value}]`))}])`;
  }
}

/** The end of a block that began with `try`: reports that it is left, in whichever way. */
export function leaving({ unit }: Scope, at: Location): Js {
  return js`finally { if (c.session.options.tracer !== undefined) c.session.options.tracer.event("leave", ${unit.location(at)}, () => new Map()); }`;
}

function bodyAt(body: Body): Location {
  return (body[0] as Expr).at;
}

/** A scalar, or an array, whatever its elements. */
function isShape(term: Term): boolean {
  return (
    term.kind === "array" ||
    term.kind === "null" ||
    term.kind === "boolean" ||
    term.kind === "number" ||
    term.kind === "string"
  );
}

/** A literal that tells from one reference alone whether its rule can hold. */
type IndexableTest = { readonly reference: Term } & (
  | { readonly kind: "defined"; readonly alias: string | undefined }
  | { readonly kind: "shape"; readonly shape: Term }
  | { readonly kind: "member"; readonly operator: RefTerm; readonly args: readonly [Term, Term] }
);

/**
 * An equality of a ground reference (or an argument) with a scalar, an array or a variable; a scalar's membership in what
 * a reference leads to; a reference's in a constant of scalars; a reference alone.
 *
 * @param aliases locals that stand for references: `x = input.a`
 */
function indexableTest(
  { form, negated, with: modifiers }: Expr,
  aliases: ReadonlyMap<string, Term>,
  isArgument: (name: string) => boolean,
): IndexableTest | undefined {
  if (negated || modifiers.length > 0) return undefined;
  const isReference = (term: Term): boolean => {
    if (term.kind === "var") return isArgument(term.name);
    if (term.kind !== "ref") return false;
    const head = term.terms[0] as Term;
    return (
      head.kind === "var" &&
      (head.name === "input" || head.name === "data" || isArgument(head.name)) &&
      term.terms.slice(1).every((element) => element.kind !== "array" && constantOf(element) !== undefined)
    );
  };
  if (form.kind === "term")
    return form.term.kind === "ref" && isReference(form.term)
      ? { kind: "defined", reference: form.term, alias: undefined }
      : undefined;
  if (form.kind !== "call" || form.args.length !== 2) return undefined;
  const name = functionName(form.operator.terms);
  const [a, b] = form.args as readonly [Term, Term];
  if (name === "internal.member_2") {
    const resolved = (term: Term): Term => (term.kind === "var" ? (aliases.get(term.name) ?? term) : term);
    const [element, collection] = [resolved(a), resolved(b)];
    const reference =
      isScalar(element) && isReference(collection)
        ? collection
        : isReference(element) && isConstantOfScalars(collection)
          ? element
          : undefined;
    if (reference === undefined) return undefined;
    return { kind: "member", reference, operator: form.operator, args: [element, collection] };
  }
  if (name !== "eq" && name !== "equal") return undefined;
  const [reference, other] = isReference(a) && (isShape(b) || b.kind === "var") ? [a, b] : [b, a];
  if (!isReference(reference) || !(isShape(other) || other.kind === "var")) return undefined;
  return other.kind === "var"
    ? { kind: "defined", reference, alias: other.name }
    : { kind: "shape", reference, shape: other };
}

function isScalar(term: Term): boolean {
  return isShape(term) && term.kind !== "array";
}

function isConstantOfScalars(term: Term): boolean {
  switch (term.kind) {
    case "array":
    case "set":
      return term.items.every(isScalar);
    case "object":
      return term.entries.every(([key, value]) => isScalar(key) && isScalar(value));
    default:
      return false;
  }
}

/** Calls with an effect of their own: a body that makes one is always evaluated. */
const NEVER_INDEXED: ReadonlySet<string> = new Set(["internal.print", "internal.test_case"]);

/** Whether a body, or one inside of it, makes a call with an effect. */
function hasEffect(body: Body): boolean {
  let found = false;
  visit(body, {
    expr({ form }) {
      if (form.kind === "call" && NEVER_INDEXED.has(functionName(form.operator.terms))) found = true;
      return !found;
    },
  });
  return found;
}

function isComprehension(term: Term): boolean {
  return term.kind === "arraycomprehension" || term.kind === "setcomprehension" || term.kind === "objectcomprehension";
}

function isWildcard(name: string): boolean {
  return name.startsWith("$");
}

/** Scalars that are equal exactly if they are identical in JavaScript. Numbers are not: `1` equals `1.0`. */
function isIdentityConstant(term: Term): boolean {
  return term.kind === "string" || term.kind === "boolean" || term.kind === "null";
}

/** The name a function is known by: `count`, `net.cidr_contains`, `data.policy.f`. */
export function functionName(terms: readonly Term[]): string {
  return terms
    .map((term) =>
      term.kind === "var" ? term.name : term.kind === "string" ? term.value : canonicalText(constantOf(term) as Value),
    )
    .join(".");
}

/** Pairs the values of two object terms by key; "differ" if their keys do; undefined if some key is not constant. */
function pairEntries(
  a: readonly (readonly [Term, Term])[],
  b: readonly (readonly [Term, Term])[],
): readonly (readonly [Term, Term])[] | "differ" | undefined {
  const byKey = new Map<string, Term>();
  for (const [key, value] of b) {
    const constant = constantOf(key);
    if (constant === undefined) return undefined;
    byKey.set(canonicalText(constant), value);
  }
  const pairs: (readonly [Term, Term])[] = [];
  for (const [key, value] of a) {
    const constant = constantOf(key);
    if (constant === undefined) return undefined;
    const other = byKey.get(canonicalText(constant));
    if (other === undefined) return "differ";
    pairs.push([value, other]);
  }
  return a.length === b.length ? pairs : "differ";
}

/** An expression that is true when a value is none of the accepted types; undefined where every value is accepted. */
function typeTest(value: Js, accepts: readonly string[]): Js | undefined {
  if (accepts.length === 0) return undefined;
  const tests = accepts.map((name) => {
    switch (name) {
      case "string":
        return js`typeof ${value} === "string"`;
      case "boolean":
        return js`typeof ${value} === "boolean"`;
      case "null":
        return js`${value} === null`;
      case "number":
        return js`(typeof ${value} === "number" || rt.isNumber(${value}))`;
      case "array":
        return js`Array.isArray(${value})`;
      case "set":
        return js`${value} instanceof rt.RegoSet`;
      default:
        return js`rt.isObject(${value})`;
    }
  });
  return js`!(${tests.reduce((all, test) => js`${all} || ${test}`)})`;
}

function concat(parts: readonly Js[]): Js {
  return parts.reduce((all, part) => js`${all}${part}`, js``);
}
