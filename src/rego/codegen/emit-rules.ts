import { eachInSteps, mapInSteps, type Steps } from "../../base/index.ts";
import type { CompiledRule } from "../compile/index.ts";
import type { Rule, Term } from "../syntax/index.ts";
import { valuesEqual } from "../value/index.ts";
import { constantOf } from "./constants.ts";
import { dynamicPath, type Group, type Node } from "./documents.ts";
import { BodyEmitter, leaving, type Scope } from "./emit-body.ts";
import { indexDefinitions } from "./index-rules.ts";
import { Js, js } from "./js.ts";

/** The functions of a group: what it defines, memoised per evaluation frame. */
export function* emitGroup(scope: Scope, group: Group): Steps<Js> {
  switch (group.kind) {
    case "complete":
      return Js.lines([memoised(scope, group), yield* emitComplete(scope, group, body(group), [])]);
    case "function":
      return yield* emitFunction(scope, group);
    case "set":
      return Js.lines([memoised(scope, group), yield* emitSet(scope, group), yield* emitKeyed(scope, group)]);
    case "partial":
      return Js.lines([memoised(scope, group), yield* emitPartial(scope, group), yield* emitKeyed(scope, group)]);
  }
}

/** The name of the function that evaluates a group without memo. */
function body(group: Group): Js {
  return Js.ident(`b${group.id}`);
}

function memoised(scope: Scope, group: Group): Js {
  return js`function ${scope.groupFunction(group)}(c) {
const m = c.slots[${group.id}];
if (m !== undefined) return m === rt.NONE ? undefined : m;
const v = ${body(group)}(c);
c.slots[${group.id}] = v === undefined ? rt.NONE : v;
return v;
}`;
}

// ---- complete rules and functions -------------------------------------------------------------------------------

/** The value all definitions share if it is the same constant: then the first success decides (OPA's early exit). */
function sharedConstant(rules: readonly CompiledRule[]): boolean {
  let shared: ReturnType<typeof constantOf>;
  for (const compiled of rules) {
    if (compiled.isDefault) continue;
    for (let rule: Rule | undefined = compiled.rule; rule !== undefined; rule = rule.else) {
      const value = rule.head.value === undefined ? undefined : constantOf(rule.head.value);
      if (value === undefined) return false;
      if (shared === undefined) shared = value;
      else if (!valuesEqual(shared, value)) return false;
    }
  }
  return true;
}

function emitFunction(scope: Scope, group: Group): Steps<Js> {
  const params = Array.from({ length: group.arity }, (_, i) => Js.ident(`a${i}`));
  return emitComplete(scope, group, scope.groupFunction(group), params);
}

function* emitComplete(scope: Scope, group: Group, name: Js, params: readonly Js[]): Steps<Js> {
  const definitions = group.rules.filter((rule) => !rule.isDefault);
  const exitsEarly = sharedConstant(definitions);
  if (definitions.length >= MANY) return yield* emitManyComplete(scope, group, name, params, definitions, exitsEarly);
  const lines: Js[] = [js`function ${name}(${Js.list([js`c`, ...params])}) {`];
  if (group.kind === "function") lines.push(js`if (--c.session.steps < 0) c.session.tick();`);
  lines.push(js`let r;`);
  for (const { rule } of definitions) {
    lines.push(
      emitChain(scope, rule, params, (emitter, value, at) => {
        if (exitsEarly || (definitions.length === 1 && !emitter.isIterating)) emitter.line(js`return ${value};`);
        else
          emitter.line(
            js`if (r === undefined) r = ${value}; else if (!rt.eq(r, ${value})) throw rt.conflict(${group.kind === "function" ? "function" : "complete"}, ${scope.unit.location(at)});`,
          );
      }),
    );
  }
  const fallback = group.rules.find((rule) => rule.isDefault);
  if (fallback !== undefined) lines.push(emitDefault(scope, fallback));
  lines.push(js`return r;`, js`}`);
  return Js.lines(lines);
}

/** From this many definitions on each is a function of its own, and an index picks those worth calling. */
const MANY = 6;

/** A document with many definitions: one function each, called only where the index cannot exclude it. */
function* emitManyComplete(
  scope: Scope,
  group: Group,
  name: Js,
  params: readonly Js[],
  definitions: readonly CompiledRule[],
  exitsEarly: boolean,
): Steps<Js> {
  const kind = group.kind === "function" ? "function" : "complete";
  const each = yield* mapInSteps(definitions, ({ rule }) => {
    const chain = emitChain(scope, rule, params, (emitter, value, at) => {
      if (exitsEarly || !emitter.isIterating) emitter.line(js`return ${value};`);
      else
        emitter.line(
          js`if (r === undefined) r = ${value}; else if (!rt.eq(r, ${value})) throw rt.conflict(${kind}, ${scope.unit.location(at)});`,
        );
    });
    return js`(${Js.list([js`c`, ...params])}) => { let r;
${chain}
return r; }`;
  });
  const table = scope.table(each);
  const places = scope.unit.locations(definitions.map(({ rule }) => rule.at));
  const fallback = group.rules.find((rule) => rule.isDefault);
  const combine = exitsEarly
    ? js`if (v !== undefined) return v;`
    : js`if (v !== undefined) { if (r === undefined) r = v; else if (!rt.eq(r, v)) throw rt.conflict(${kind}, ${places}[${pick}]); }`;
  return Js.lines([
    js`function ${name}(${Js.list([js`c`, ...params])}) {`,
    group.kind === "function" ? js`if (--c.session.steps < 0) c.session.tick();` : js``,
    js`let r;`,
    yield* loopOverCandidates(
      scope,
      definitions,
      params,
      js`const v = ${table}[${pick}](${Js.list([js`c`, ...params])}); ${combine}`,
    ),
    fallback === undefined ? js`` : emitDefault(scope, fallback),
    js`return r;`,
    js`}`,
  ]);
}

const pick = Js.ident("d");

/** Runs `turn` for every definition the index cannot exclude, its number in `d`. */
function* loopOverCandidates(
  scope: Scope,
  definitions: readonly CompiledRule[],
  params: readonly Js[],
  turn: Js,
): Steps<Js> {
  const built = scope.optimised ? yield* indexDefinitions(definitions.map(({ rule }) => rule)) : undefined;
  if (built === undefined) return js`for (let ${pick} = 0; ${pick} < ${definitions.length}; ${pick}++) { ${turn} }`;
  const values = built.references.map(({ argument, path }) => {
    const from = argument === undefined ? js`c.input` : (params[argument] as Js);
    return path.length === 0 ? from : js`rt.pathOf(${from}, ${scope.unit.value(path)})`;
  });
  return js`const all = rt.candidates(${scope.unit.index(built.index)}, [${Js.list(values)}]);
for (let i = 0; i < all.length; i++) { const ${pick} = all[i]; ${turn} }`;
}

type Found = (emitter: BodyEmitter, value: Js, at: Rule["at"]) => void;

/** One definition and its `else` branches: the first whose body succeeds gives the value. */
function emitChain(scope: Scope, first: Rule, params: readonly Js[], found: Found): Js {
  const lines: Js[] = [];
  const chained = first.else !== undefined;
  const done = scope.unit.fresh("h");
  if (chained) lines.push(js`let ${done} = false;`);
  for (let rule: Rule | undefined = first; rule !== undefined; rule = rule.else) {
    const branch = rule;
    const label = scope.unit.fresh("d");
    const emitter = new BodyEmitter(scope, js`break ${label};`);
    emitter.trace("enter", branch.at);
    matchArgs(emitter, branch.head.args ?? [], params, () =>
      emitter.ruleBody(branch.body, () => {
        const value = branch.head.value;
        if (value === undefined) throw new TypeError("a complete rule has a value");
        emitter.term(value, (v) => {
          emitter.trace("exit", branch.at);
          if (chained) emitter.line(js`${done} = true;`);
          found(emitter, v, branch.at);
        });
      }),
    );
    const guard = chained && branch !== first ? js`if (!${done}) ` : js``;
    lines.push(js`${guard}${label}: ${definition(scope, emitter, branch.at)}`);
  }
  return Js.lines(lines);
}

function matchArgs(
  emitter: BodyEmitter,
  patterns: readonly Term[],
  params: readonly Js[],
  next: () => void,
  from = 0,
): void {
  const pattern = patterns[from];
  if (pattern === undefined) return next();
  emitter.match(pattern, params[from] as Js, () => matchArgs(emitter, patterns, params, next, from + 1));
}

function emitDefault(scope: Scope, { rule }: CompiledRule): Js {
  const label = scope.unit.fresh("d");
  const emitter = new BodyEmitter(scope, js`break ${label};`);
  emitter.body(rule.body, () => emitter.term(rule.head.value as Term, (value) => emitter.line(js`r = ${value};`)));
  return js`if (r === undefined) ${label}: {
${emitter.source}
}`;
}

// ---- partial rules ----------------------------------------------------------------------------------------------

/** The code of one definition of a partial rule; `collect` is generated where its body has succeeded. */
function emitDefinition(
  scope: Scope,
  { rule }: CompiledRule,
  collect: (emitter: BodyEmitter) => void,
  before?: (emitter: BodyEmitter, next: () => void) => void,
): Js {
  const label = scope.unit.fresh("d");
  const emitter = new BodyEmitter(scope, js`break ${label};`);
  emitter.trace("enter", rule.at);
  const run = (): void =>
    emitter.ruleBody(rule.body, () => {
      emitter.trace("exit", rule.at);
      collect(emitter);
    });
  if (before === undefined) run();
  else before(emitter, run);
  return js`${label}: ${definition(scope, emitter, rule.at)}`;
}

function definition(scope: Scope, emitter: BodyEmitter, at: Rule["at"]): Js {
  const block = js`{
${emitter.source}
}`;
  return scope.traced ? js`{ try ${block} ${leaving(scope, at)} }` : block;
}

function* emitSet(scope: Scope, group: Group): Steps<Js> {
  const definitions = yield* mapInSteps(group.rules, (compiled) =>
    emitDefinition(scope, compiled, (emitter) =>
      emitter.term(compiled.rule.head.key as Term, (key) => emitter.line(js`out.add(${key});`)),
    ),
  );
  return Js.lines([
    js`function ${body(group)}(c) {`,
    js`const out = new rt.RegoSet();`,
    yield* emitAll(scope, group, definitions),
    js`return out;`,
    js`}`,
  ]);
}

/** All definitions of a partial document in turn; where they are many, as functions picked by an index. */
function* emitAll(scope: Scope, group: Group, definitions: readonly Js[]): Steps<Js> {
  if (definitions.length < MANY) return Js.lines(definitions);
  const table = scope.table(
    definitions.map(
      (definition) => js`(c, out) => {
${definition}
}`,
    ),
  );
  return yield* loopOverCandidates(scope, group.rules, [], js`${table}[${pick}](c, out);`);
}

function* emitPartial(scope: Scope, group: Group): Steps<Js> {
  const simple = group.isKeyed;
  const lines = [
    js`function ${body(group)}(c) {`,
    simple ? js`const out = new rt.RegoObject();` : js`const out = new rt.PartialObject();`,
  ];
  const definitions = yield* mapInSteps(group.rules, (compiled) => {
    const { rule } = compiled;
    const at = scope.unit.location(rule.at);
    return emitDefinition(scope, compiled, (emitter) =>
      emitTerms(emitter, dynamicPath(compiled), (path) => {
        const leaf = compiled.kind === "setobject" ? rule.head.key : rule.head.value;
        emitter.term(leaf as Term, (value) => {
          if (compiled.kind === "setobject") emitter.line(js`out.add([${Js.list(path)}], ${value}, ${at});`);
          else if (simple) emitter.line(js`rt.putUnique(out, ${path[0] as Js}, ${value}, ${at});`);
          else emitter.line(js`out.put([${Js.list(path)}], ${value}, ${at});`);
        });
      }),
    );
  });
  lines.push(yield* emitAll(scope, group, definitions));
  for (const below of groupsBelow(group.node)) {
    if (below.kind === "function") continue;
    const path = scope.unit.value(below.node.path.slice(group.node.path.length));
    const at = scope.unit.location((below.rules[0] as CompiledRule).rule.at);
    lines.push(
      js`{ const v = ${scope.groupFunction(below)}(c); if (v !== undefined) out.${Js.ident(MERGE[below.kind])}(${path}, v, ${at}); }`,
    );
  }
  lines.push(simple ? js`return out;` : js`return out.toValue();`, js`}`);
  return Js.lines(lines);
}

/** How the document of a group with a longer ground path enters the partial object above it. */
const MERGE = { complete: "put", set: "mergeSet", partial: "mergeObject" } as const;

/** Groups strictly below a node that are not below another such group. */
function groupsBelow(node: Node): Group[] {
  return node.children.flatMap(({ node: child }) => (child.group !== undefined ? [child.group] : groupsBelow(child)));
}

function emitTerms(
  emitter: BodyEmitter,
  terms: readonly Term[],
  next: (values: readonly Js[]) => void,
  values: readonly Js[] = [],
): void {
  const term = terms[values.length];
  if (term === undefined) next(values);
  else emitter.term(term, (value) => emitTerms(emitter, terms, next, [...values, value]));
}

/**
 * The document at one key: the head's key is matched first, so a body that binds it by iteration becomes a look-up, and
 * entries under other keys are never computed (nor their conflicts found), as in OPA.
 */
function* emitKeyed(scope: Scope, group: Group): Steps<Js> {
  const name = scope.keyedFunction(group);
  if (name === undefined) return js``;
  const isSet = group.kind === "set";
  const lines = [
    js`function ${name}(c, key) {`,
    js`const all = c.slots[${group.id}];`,
    js`if (all !== undefined) return ${isSet ? js`all.get(key)` : js`rt.get(all, key)`};`,
    js`const memo = rt.keyedMemo(c, ${group.id});`,
    js`const text = rt.keyOf(key);`,
    js`const m = memo.get(text);`,
    js`if (m !== undefined) return m === rt.NONE ? undefined : m;`,
    // Many keys: the whole set is cheaper than one search per key. It holds no more errors than its parts.
    isSet ? js`if (memo.size >= 16) return ${scope.groupFunction(group)}(c).get(key);` : js``,
    js`const v = ${Js.ident(`x${group.id}`)}(c, key);`,
    js`memo.set(text, v === undefined ? rt.NONE : v);`,
    js`return v;`,
    js`}`,
    js`function ${Js.ident(`x${group.id}`)}(c, key) {`,
    js`let r;`,
  ];
  yield* eachInSteps(group.rules, (compiled) => {
    const head = isSet ? (compiled.rule.head.key as Term) : (dynamicPath(compiled)[0] as Term);
    const at = scope.unit.location(compiled.rule.at);
    const early = matchable(head);
    lines.push(
      emitDefinition(
        scope,
        compiled,
        (emitter) => {
          const give = (): void => {
            if (isSet) return emitter.line(js`return key;`);
            emitter.term(compiled.rule.head.value as Term, (value) => {
              emitter.line(
                js`if (r === undefined) r = ${value}; else if (!rt.eq(r, ${value})) throw rt.conflict("object", ${at});`,
              );
            });
          };
          if (early) give();
          else emitter.match(head, js`key`, give);
        },
        early ? (emitter, next) => emitter.match(head, js`key`, next) : undefined,
      ),
    );
  });
  lines.push(js`return r;`, js`}`);
  return Js.lines(lines);
}

/** Heads that can be matched before the body has run: they need nothing the body binds, except by being matched. */
function matchable(head: Term): boolean {
  return (
    head.kind === "var" ||
    constantOf(head) !== undefined ||
    ((head.kind === "array" || head.kind === "object") && isVarPattern(head))
  );
}

function isVarPattern(term: Term): boolean {
  switch (term.kind) {
    case "var":
      return true;
    case "array":
      return term.items.every(isVarPattern);
    case "object":
      return term.entries.every(([key, value]) => constantOf(key) !== undefined && isVarPattern(value));
    default:
      return constantOf(term) !== undefined;
  }
}
