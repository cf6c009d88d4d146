import type { RefTerm, Term } from "../syntax/index.ts";
import {
  ANY,
  arrayType,
  BOOLEAN,
  insertMember,
  mergeTypes,
  NULL,
  NUMBER,
  objectType,
  STRING,
  type StaticProperty,
  selectMember,
  setType,
  type Type,
  union,
  unwrap,
  valuesOf,
} from "../types/index.ts";
import { canonicalText, RegoObject, RegoSet, toJsonValue, type Value } from "../value/index.ts";

/** The JSON form of a term without variables, refs, calls and closures; undefined for all others. */
export function constantOf(term: Term): Value | undefined {
  const value = groundValue(term);
  return value === undefined ? undefined : toJsonValue(value);
}

function groundValue(term: Term): Value | undefined {
  switch (term.kind) {
    case "null":
      return null;
    case "boolean":
    case "number":
    case "string":
      return term.value;
    case "array":
    case "set": {
      const items: Value[] = [];
      for (const item of term.items) {
        const value = groundValue(item);
        if (value === undefined) return undefined;
        items.push(value);
      }
      return term.kind === "array" ? items : RegoSet.of(items);
    }
    case "object": {
      const object = new RegoObject();
      for (const [key, value] of term.entries) {
        const k = groundValue(key);
        const v = groundValue(value);
        if (k === undefined || v === undefined) return undefined;
        object.set(k, v);
      }
      return object;
    }
    default:
      return undefined;
  }
}

/** Vars and constants are nodes of the tree; `$` cannot start a canonical text. */
function nodeKey(term: Term): string | undefined {
  if (term.kind === "var") return `$${term.name}`;
  const value = groundValue(term);
  return value === undefined ? undefined : canonicalText(value);
}

/** Types by path: vars, documents below `data` and `input`, builtins. */
export class TypeTree {
  readonly key: Term | undefined;
  type: Type | undefined;
  readonly #children = new Map<string, TypeTree>();
  #extent: Type | undefined;

  constructor(key?: Term) {
    this.key = key;
  }

  /** The type of everything at and below this node. Base documents are not typed: any other member may be there. */
  get extent(): Type {
    if (this.type !== undefined) return this.type;
    if (this.#extent !== undefined) return this.#extent;
    const properties: StaticProperty[] = [];
    for (const child of this.#children.values()) {
      const key = child.key as Term;
      if (key.kind === "string" || key.kind === "number" || key.kind === "boolean")
        properties.push({ key: key.value, value: child.extent });
    }
    this.#extent = objectType(properties, { key: STRING, value: ANY });
    return this.#extent;
  }

  child(key: Term): TypeTree | undefined {
    const name = nodeKey(key);
    return name === undefined ? undefined : this.#children.get(name);
  }

  children(): Iterable<TypeTree> {
    return this.#children.values();
  }

  get hasChildren(): boolean {
    return this.#children.size > 0;
  }

  put(path: readonly Term[], type: Type | undefined): void {
    let node: TypeTree = this;
    for (const term of path) node = node.#childOrNew(term);
    node.type = type;
  }

  /** Like `put`, but a document that several rules make is of a type that fits them all. */
  insert(path: readonly Term[], type: Type): void {
    let node: TypeTree = this;
    path.forEach((term, i) => {
      node = node.#childOrNew(term);
      const object = unwrap(node.type);
      if (i + 1 < path.length && object?.kind === "object")
        node.type = insertMember(object, path.slice(i + 1).map(scalarType), type);
    });
    node.type = mergeTypes(node.type, type);
    if (unwrap(type)?.kind !== "object") return;
    for (const [below, member] of node.#leaves()) {
      const object = unwrap(node.type);
      if (object?.kind === "object") node.type = insertMember(object, below.map(scalarType), member);
    }
  }

  *#leaves(above: readonly Term[] = []): Generator<readonly [readonly Term[], Type]> {
    for (const child of this.#children.values()) {
      const path = [...above, child.key as Term];
      if (child.type === undefined) yield* child.#leaves(path);
      else yield [path, child.type];
    }
  }

  /** For writing: whatever is written below changes the extent. */
  #childOrNew(key: Term): TypeTree {
    this.#extent = undefined;
    const name = nodeKey(key);
    if (name === undefined) throw new TypeError("paths of types are ground");
    let child = this.#children.get(name);
    if (child === undefined) {
      child = new TypeTree(key);
      this.#children.set(name, child);
    }
    return child;
  }
}

function scalarType(term: Term): Type | undefined {
  switch (term.kind) {
    case "null":
      return NULL;
    case "boolean":
      return BOOLEAN;
    case "number":
      return NUMBER;
    case "string":
      return STRING;
    default:
      return undefined;
  }
}

/**
 * What is known of the types in one scope. Inner scopes see outer ones.
 * Source: OPA v1/ast/env.go.
 */
export class TypeEnv {
  readonly tree: TypeTree;
  /** Where types of variables are kept: `tree`, except in the scope that `with` modifiers make for one expression. */
  readonly vars: TypeTree;
  readonly next: TypeEnv | undefined;
  /** Types a comprehension in the given scope: that takes checking its body. */
  readonly #closureType: (closure: Term, env: TypeEnv) => Type | undefined;

  constructor(
    closureType: (closure: Term, env: TypeEnv) => Type | undefined,
    tree = new TypeTree(),
    vars = tree,
    next?: TypeEnv,
  ) {
    this.#closureType = closureType;
    this.tree = tree;
    this.vars = vars;
    this.next = next;
  }

  /** A scope inside this one. */
  wrap(): TypeEnv {
    const tree = new TypeTree();
    return new TypeEnv(this.#closureType, tree, tree, this);
  }

  /** A scope for one expression with `with` modifiers: what it says of variables is kept in this one, as they outlive it. */
  wrapWith(tree = new TypeTree()): TypeEnv {
    return new TypeEnv(this.#closureType, tree, this.vars, this);
  }

  /** The type of a term; undefined where it is not known. */
  typeOf(term: Term): Type | undefined {
    switch (term.kind) {
      case "null":
        return NULL;
      case "boolean":
        return BOOLEAN;
      case "number":
        return NUMBER;
      case "string":
      case "templatestring":
        return STRING;
      case "array":
        return term.items.length === 0 ? arrayType([], ANY) : arrayType(term.items.map((item) => this.typeOf(item)));
      case "object":
        return this.#objectType(term.entries);
      case "set": {
        let of: Type | undefined;
        for (const item of term.items) of = union(of, this.typeOf(item));
        return setType(of ?? ANY);
      }
      case "arraycomprehension":
      case "setcomprehension":
      case "objectcomprehension":
        return this.#closureType(term, this);
      case "ref":
        return this.typeOfRef(term.terms);
      case "var":
        return this.#typeOfVar(term);
      case "call":
        return undefined;
    }
  }

  #objectType(entries: readonly (readonly [Term, Term])[]): Type {
    const properties: StaticProperty[] = [];
    let dynamic: { key: Type | undefined; value: Type | undefined } | undefined;
    for (const [key, value] of entries) {
      const constant = constantOf(key);
      if (constant === undefined) dynamic = { key: this.typeOf(key), value: this.typeOf(value) };
      else properties.push({ key: constant, value: this.typeOf(value) });
    }
    if (properties.length === 0 && dynamic === undefined) dynamic = { key: ANY, value: ANY };
    return objectType(properties, dynamic);
  }

  #typeOfVar(term: Term): Type | undefined {
    const node = this.tree.child(term);
    if (node !== undefined) return node.type;
    return this.next === undefined ? undefined : this.next.#typeOfVar(term);
  }

  typeOfRef(ref: readonly Term[]): Type | undefined {
    const node = this.tree.child(ref[0] as Term);
    return node === undefined ? this.#fallback(ref) : this.#below(node, ref, ref.slice(1));
  }

  #fallback(ref: readonly Term[]): Type | undefined {
    if (this.next !== undefined) return this.next.typeOfRef(ref);
    return isRoot(ref[0] as Term) ? ANY : undefined;
  }

  #below(node: TypeTree, ref: readonly Term[], tail: readonly Term[]): Type | undefined {
    const [head, ...rest] = tail;
    if (head === undefined) return node.extent;
    if (node.type !== undefined) {
      const child = node.child(head);
      return child === undefined ? selectRef(node.type, tail) : this.#below(child, ref, rest);
    }
    if (constantOf(head) === undefined) return selectRef(node.extent, tail);
    const child = node.child(head);
    return child === undefined ? this.#fallback(ref) : this.#below(child, ref, rest);
  }
}

/** The type at the end of a path into a type; variables select every member. */
function selectRef(type: Type | undefined, path: readonly Term[]): Type | undefined {
  let of = type;
  for (const term of path) {
    if (of === undefined) return undefined;
    switch (term.kind) {
      case "var":
      case "ref":
      case "array":
      case "object":
      case "set":
        of = valuesOf(of);
        break;
      default:
        of = selectConstant(of, term);
    }
  }
  return of;
}

/** The type of the member that a constant term selects. */
export function selectConstant(type: Type | undefined, term: Term): Type | undefined {
  const key = constantOf(term);
  return key === undefined ? undefined : selectMember(type, key);
}

export function isRoot(term: Term): boolean {
  return term.kind === "var" && (term.name === "data" || term.name === "input");
}

/** The part of a ref before its first variable. */
export function groundPrefix(ref: RefTerm["terms"]): readonly Term[] {
  const at = ref.findIndex((term, i) => i > 0 && constantOf(term) === undefined);
  return at === -1 ? ref : ref.slice(0, at);
}
