import { type Location, locationText } from "../../base/index.ts";
import { numberText, quoteGo } from "../value/index.ts";
import type {
  Body,
  CallTerm,
  Comment,
  Comprehension,
  Expr,
  Head,
  Module,
  RefTerm,
  RegoVersion,
  Rule,
  ScalarTerm,
  StringTerm,
  TemplateString,
  Term,
  With,
} from "./ast.ts";
import { infixOf } from "./builtin-names.ts";
import { compareBodies, compareTerms, sortedEntries, sortedItems } from "./compare.ts";
import { booleanTerm, expr as makeExpr, operatorName, refTerm, varTerm } from "./construct.ts";
import { CommentQueue } from "./format-comments.ts";
import {
  type ImportFacts,
  importFacts,
  isFutureImport,
  type PlacedImport,
  placedImports,
  repeatedWildcards,
} from "./format-imports.ts";
import { termToText } from "./text.ts";
import { isReserved } from "./tokens.ts";
import { visit } from "./traverse.ts";

export interface FormatOptions {
  /** The language to write: `v1` (default), `v0` (`--v0-compatible`), or `v0v1` (`--rego-v1`). */
  readonly target?: RegoVersion;
  /** Leave out imports that v1 makes superfluous (`--drop-v0-imports`). */
  readonly dropV0Imports?: boolean;
}

/** A module in the layout of `opa fmt`. Lines break where the author broke them; comments stay beside what they were beside. */
export function formatModule(module: Module, options: FormatOptions = {}): string {
  return new Formatter(module, options.target ?? "v1", options.dropV0Imports === true).run();
}

/**
 * A comment has no place in the layout: two want to stand at the end of one line, or one stands inside of what goes on
 * one line. What is around it then stays as it was written.
 */
class UnexpectedComment extends Error {
  /** The source has been written up to here in spite of it. */
  readonly writtenTo: number | undefined;

  constructor(writtenTo?: number) {
    super("a comment has no place in the layout");
    this.writtenTo = writtenTo;
  }
}

interface Entry {
  readonly key: Term;
  readonly value: Term;
}

type Item = Term | Entry | Expr;

/** One operand of a chain of `and` and `or`. */
interface Operand {
  readonly body: Body;
  readonly explicit: boolean;
  readonly parens: boolean;
  /** Where the brace of an explicit operand opens. */
  readonly brace: Location;
}

interface LogicalStep {
  readonly operator: "and" | "or";
  readonly right: Operand;
  /** The row on which all to the left of the operator ends. */
  readonly leftEndRow: number;
}

type Statement = { readonly import: PlacedImport } | { readonly rule: Rule };

const INDENT = "\t";
const WORD = /^[A-Za-z_][A-Za-z0-9_]*$/;
const TRUE_BODY: Body = [makeExpr(booleanTerm(true))];

class Formatter {
  readonly #module: Module;
  readonly #target: RegoVersion;
  readonly #dropV0Imports: boolean;
  readonly #facts: ImportFacts;
  readonly #v1: boolean;
  readonly #contains: boolean;
  readonly #ifs: boolean;
  /** Some head needs dots: then all heads are written with them. */
  readonly #refHeads: boolean;
  readonly #repeated: ReadonlySet<string>;
  #out = "";
  #level = 0;
  /** Something stands on the current line. */
  #inline = false;
  /** The comment to put at the end of the current line. */
  #lineEnd: Comment | undefined;
  #delayLineEnd = false;
  #comments: CommentQueue;
  #commentOnFinalLine = false;
  /** The expression or term to be put in parentheses, however it is reached. */
  #parenExpr: Expr | undefined;
  #parenTerm: Term | undefined;

  constructor(module: Module, target: RegoVersion, dropV0Imports: boolean) {
    this.#module = module;
    this.#target = target;
    this.#dropV0Imports = dropV0Imports;
    this.#facts = importFacts(module);
    this.#v1 = target !== "v0";
    this.#contains = this.#v1 || this.#facts.contains;
    this.#ifs = this.#v1 || this.#facts.ifs;
    this.#refHeads = module.rules.some(({ head }) => {
      const length = head.reference.terms.length;
      return length > 2 || (length === 2 && head.key !== undefined && head.value === undefined);
    });
    this.#repeated = repeatedWildcards(module);
    this.#comments = new CommentQueue(module.comments.map((comment) => ({ ...comment, text: comment.text.trimEnd() })));
  }

  run(): string {
    const imports = placedImports(this.#module, this.#target, this.#facts, this.#dropV0Imports);
    const statements: readonly Statement[] = [
      ...imports.map((placed) => ({ import: placed })),
      ...this.#module.rules.map((rule) => ({ rule })),
    ].sort((a, b) => comparePlaces(placeOf(a), placeOf(b)));
    const firstRule = Math.min(...this.#module.rules.map((rule) => rule.at.row));
    // An import that would come after a rule has no effect there.
    const hoist = imports.some(({ added, row }) => added && row >= firstRule);
    const isHoisted = (statement: Statement): boolean => hoist && "import" in statement && statement.import.added;

    this.#package();
    this.#imports(statements.filter(isHoisted).map((statement) => (statement as { import: PlacedImport }).import));
    const others = statements.filter((statement) => !isHoisted(statement));
    for (let i = 0; i < others.length; ) {
      const group: Statement[] = [];
      const kind = "import" in (others[i] as Statement);
      for (; i < others.length && "import" in (others[i] as Statement) === kind; i++)
        group.push(others[i] as Statement);
      if (kind) this.#imports(group.map((statement) => (statement as { import: PlacedImport }).import));
      else this.#rules(group.map((statement) => (statement as { rule: Rule }).rule));
    }
    for (const comment of this.#comments.rest) this.#line(`#${comment.text}`);
    if (this.#comments.first !== undefined) this.#write("\n");
    return this.#out.endsWith("\n") ? `${this.#out.replace(/\n+$/, "")}\n` : this.#out;
  }

  // --- Lines ------------------------------------------------------------------------------------------------------

  #write(text: string): void {
    this.#out += text;
  }

  #startLine(): void {
    this.#inline = true;
    this.#write(INDENT.repeat(this.#level));
  }

  #endLine(): void {
    this.#inline = false;
    if (this.#lineEnd !== undefined && !this.#delayLineEnd) {
      this.#write(` #${this.#lineEnd.text}`);
      this.#lineEnd = undefined;
    }
    this.#delayLineEnd = false;
    this.#write("\n");
  }

  #blankLine(): void {
    if (this.#inline) this.#endLine();
    this.#write("\n");
  }

  #line(text: string): void {
    if (!this.#inline) this.#startLine();
    this.#write(text);
    this.#endLine();
  }

  /** Runs a step whose text ends in a closing sign, also when it is given up. */
  #closing(sign: string, step: () => void): void {
    try {
      step();
    } finally {
      this.#write(sign);
    }
  }

  // --- Comments ---------------------------------------------------------------------------------------------------

  /** Writes the comments above a row, and notes the one on it for the line's end. */
  #insertComments(row: number): void {
    const { first } = this.#comments;
    if (first === undefined || first.at.row > row) {
      this.#atLineEnd(undefined);
      return;
    }
    const before = this.#takeAbove(row);
    this.#writeComments(before);
    const last = before.at(-1);
    if (last !== undefined && row - last.at.row > 1) this.#blankLine();
    this.#atLineEnd(this.#takeAbove(row + 1).at(-1));
  }

  #takeAbove(row: number): readonly Comment[] {
    const [taken, left] = this.#comments.above(row);
    this.#comments = left;
    return taken;
  }

  #atLineEnd(comment: Comment | undefined): void {
    if (this.#lineEnd === undefined) {
      this.#lineEnd = comment;
    } else if (comment !== undefined) {
      this.#lineEnd = undefined;
      throw new UnexpectedComment();
    }
  }

  #writeComments(comments: readonly Comment[]): void {
    let metadata = false;
    for (const [i, comment] of comments.entries()) {
      const previous = comments[i - 1];
      if (previous !== undefined) {
        const rows = comment.at.row - previous.at.row;
        const distance = rows === 0 ? comment.at.col - previous.at.col : rows;
        if (distance > 1) {
          this.#blankLine();
          metadata = false;
        } else if (distance === 1 && metadata && isMetadata(comment)) {
          this.#blankLine();
        }
      }
      if (isMetadata(comment)) metadata = true;
      this.#line(`#${comment.text}`);
    }
  }

  /** Runs a step, and answers whether it met an unexpected comment. Only a step that wrote all it had to may have. */
  #tolerate(end: number, step: () => void): boolean {
    try {
      step();
      return false;
    } catch (error) {
      if (error instanceof UnexpectedComment && error.writtenTo !== undefined && error.writtenTo >= end) return true;
      throw error;
    }
  }

  /** Runs a step; if an unexpected comment stops it, runs the other in its place, as if the first had never been. */
  #attempt(step: () => void, otherwise: () => void): void {
    const { length } = this.#out;
    const state = { level: this.#level, inline: this.#inline, lineEnd: this.#lineEnd, comments: this.#comments };
    try {
      step();
    } catch (error) {
      if (!(error instanceof UnexpectedComment)) throw error;
      this.#out = this.#out.slice(0, length);
      this.#level = state.level;
      this.#inline = state.inline;
      this.#lineEnd = state.lineEnd;
      this.#comments = state.comments;
      this.#delayLineEnd = false;
      this.#parenExpr = undefined;
      this.#parenTerm = undefined;
      otherwise();
    }
  }

  /** Writes what was there, and drops the comments inside. */
  #unformatted(at: Location): void {
    const text = locationText(at);
    this.#write(text);
    const lastRow = endRow(at);
    this.#takeAbove(lastRow);
    if (!this.#commentOnFinalLine) return;
    for (const comment of this.#takeAbove(lastRow + 1)) this.#write(` ${locationText(comment.at)}`);
  }

  // --- Package and imports ----------------------------------------------------------------------------------------

  #package(): void {
    const { path, at } = this.#module.package;
    this.#insertComments(at.row);
    this.#startLine();
    const [, first, ...rest] = path.terms;
    const name = first?.kind === "string" ? first.value : "";
    this.#write("package ");
    this.#withoutComments(() => this.#ref(refTerm([varTerm(name), ...rest])));
    this.#blankLine();
  }

  #withoutComments(step: () => void): void {
    const comments = this.#comments;
    this.#comments = CommentQueue.EMPTY;
    step();
    this.#comments = comments;
  }

  #imports(imports: readonly PlacedImport[]): void {
    const beside = new Map<PlacedImport, Comment>();
    const byRow = new Map(imports.map((placed) => [placed.row, placed]).reverse() as [number, PlacedImport][]);
    const others = this.#comments.rest.filter((comment) => {
      const statement = byRow.get(comment.at.row);
      if (statement !== undefined) beside.set(statement, comment);
      return statement === undefined;
    });
    if (beside.size > 0) this.#comments = new CommentQueue(others);
    for (const group of groupImports(imports)) {
      this.#insertComments((group[0] as PlacedImport).row);
      const sorted = [...group].sort(({ statement: a }, { statement: b }) => {
        const order = compareTerms(a.path, b.path);
        if (order !== 0) return order;
        const [x, y] = [a.alias ?? "", b.alias ?? ""];
        return x < y ? -1 : x > y ? 1 : 0;
      });
      for (const placed of sorted) {
        this.#startLine();
        this.#import(placed);
        const comment = beside.get(placed);
        if (comment !== undefined) this.#write(` #${comment.text}`);
        this.#endLine();
      }
      this.#blankLine();
    }
  }

  #import({ statement: { path, alias, ...statement } }: PlacedImport): void {
    this.#write("import ");
    if (isFutureImport({ path, alias, ...statement })) this.#write(path.terms.map(plainName).join("."));
    else this.#withoutComments(() => this.#ref(path));
    if (alias !== undefined) this.#write(` as ${alias}`);
  }

  // --- Rules ------------------------------------------------------------------------------------------------------

  #rules(rules: readonly Rule[]): void {
    for (const [i, rule] of rules.entries()) {
      this.#attempt(
        () => {
          this.#insertComments(rule.at.row);
          this.#rule(rule, false);
        },
        () => this.#ruleBelowComments(rule),
      );
      const next = rules[i + 1];
      const grouped =
        next !== undefined && this.#isOneLiner(rule) && this.#isOneLiner(next) && next.at.row === rule.at.row + 1;
      if (!grouped) this.#blankLine();
    }
  }

  /** A rule whose comments have no place inside: they go above it. */
  #ruleBelowComments(rule: Rule): void {
    if (this.#inline) this.#endLine();
    this.#writeComments(this.#takeAbove(endRow(rule.at) + 1));
    this.#withoutComments(() => this.#rule(rule, false));
  }

  /** Whether a rule written on one line may stand next to another without a blank line. */
  #isOneLiner(rule: Rule): boolean {
    const [only] = rule.body;
    if (rule.body.length > 1 || rule.default || rule.else !== undefined) return false;
    if (only !== undefined && isSetTerm(only)) return false;
    return this.#usesIf(rule);
  }

  /** Partial sets take `if` only where they take `contains`. */
  #usesIf({ head }: Rule): boolean {
    return this.#ifs && (this.#contains || head.value !== undefined);
  }

  #rule(rule: Rule, isElse: boolean): void {
    if (!isElse) this.#startLine();
    if (rule.default) this.#write("default ");
    // A constant is written without the body it stands for, whoever wrote that body.
    const constant = compareBodies(rule.body, TRUE_BODY) === 0 && rule.else === undefined;
    this.#commentOnFinalLine = constant;
    const headEnd = (rule.head.value ?? rule.head.key)?.at.end ?? rule.head.at.end;
    const unexpected = this.#tolerate(headEnd, () => this.#head(rule.head, rule.default, constant, isElse));
    const [first] = rule.body;
    if (first === undefined || constant) {
      this.#endLine();
      return;
    }
    this.#commentOnFinalLine = true;
    const usesIf = this.#usesIf(rule);
    if (usesIf) {
      this.#write(" if");
      if (rule.body.length === 1 && first.at.row === endRow(rule.head.at) && !isSetTerm(first)) {
        this.#write(" ");
        this.#bodyExpr(first);
        this.#endLine();
        if (rule.else !== undefined) this.#else(rule, rule.else);
        return;
      }
    }
    if (unexpected && this.#comments.first !== undefined) {
      this.#write(" { ");
    } else {
      this.#write(" {");
      this.#endLine();
    }
    if (usesIf && !isElse) this.#markUnion(first);
    this.#level++;
    this.#body(rule.body);
    const skip = rule.head.args !== undefined && !isElse ? "()" : rule.head.key !== undefined ? "[]" : "";
    this.#insertComments(closingRow("{}", rule.at, skip));
    this.#level--;
    this.#startLine();
    this.#write("}");
    if (rule.else !== undefined) this.#else(rule, rule.else);
  }

  #else(rule: Rule, branch: Rule): void {
    // An `else` after something else on its line stays there.
    const line = locationText(rule.at).split("\n")[branch.at.row - rule.at.row];
    const wasInline = branch.at.row > rule.at.row && line !== undefined && !line.trimStart().startsWith("else");
    const { first } = this.#comments;
    const commentAbove = (first !== undefined && first.at.row < branch.head.at.row) || this.#lineEnd !== undefined;
    if (!commentAbove && wasInline) {
      this.#write(" ");
    } else {
      this.#blankLine();
      this.#startLine();
    }
    const { at } = branch.head;
    this.#insertComments(at.row);
    if (commentAbove && !wasInline) this.#startLine();
    const head: Head = {
      ...branch.head,
      reference: refTerm([varTerm("else", at)], at),
      args: undefined,
      value: branch.head.value && { ...branch.head.value, at },
    };
    this.#rule({ ...branch, head }, true);
  }

  #head(head: Head, isDefault: boolean, constant: boolean, isElse: boolean): void {
    const { reference, args, key, value } = head;
    const [name, second] = reference.terms as readonly [Term, Term | undefined];
    if (this.#refHeads || second === undefined) {
      this.#ref(reference);
    } else {
      if (second.at.row === this.#comments.first?.at.row) {
        this.#unformatted(head.at);
        return;
      }
      this.#write(`${this.#plain(name)}[${this.#plain(second)}]`);
    }
    if (args !== undefined) {
      this.#write("(");
      this.#closing(")", () => this.#list(args, head.at, closingRow("()", head.at), false));
    }
    if (key !== undefined && value === undefined) {
      this.#write(this.#contains ? " contains " : "[");
      this.#term(key);
      if (!this.#contains) this.#write("]");
    }
    if (value === undefined) return;
    const isTrue = value.kind === "boolean" && value.value;
    if (key === undefined && isTrue && !constant && !isDefault) return;
    // A generated value stands where its head stands, and is implied: `f(1)`, v0's `a.b.c`. (opa fmt takes it to be implied
    // for other heads, too, and so changes their meaning.)
    const implied = !constant || args !== undefined || (!this.#v1 && reference.terms.length > 2);
    if (head.at === value.at && !isElse && isTrue && implied) return;
    this.#write(head.assign || this.#v1 ? " := " : " = ");
    this.#term(value);
  }

  // --- Bodies -----------------------------------------------------------------------------------------------------

  #body(body: Body): void {
    this.#insertComments(body[0]?.at.row ?? 0);
    for (const [i, expr] of body.entries()) {
      const previous = body[i - 1];
      if (previous !== undefined && expr.at.row > endRow(previous.at) + 1) this.#blankLine();
      this.#startLine();
      this.#bodyExpr(expr);
      this.#endLine();
    }
  }

  #bodyExpr(expr: Expr): void {
    // The place of a body that follows `else … if` is that of the `else`: its text cannot be used.
    const relocated = expr.form.kind === "term" && expr.form.term.at === expr.at;
    if (relocated || (expr.form.kind === "call" && expr.form.operator.at === expr.at)) {
      this.#expr(expr);
      return;
    }
    this.#attempt(
      () => this.#tolerate(expr.at.end, () => this.#expr(expr)),
      () => this.#unformatted(expr.at),
    );
  }

  #expr(expr: Expr): void {
    const parens = this.#parenExpr === expr;
    if (parens) this.#parenExpr = undefined;
    this.#insertComments(expr.at.row);
    if (!this.#inline) this.#startLine();
    const group = expr.negated && expr.form.kind === "logical";
    if (expr.negated) this.#write(group ? "not (" : "not ");
    if (parens) this.#write("(");
    this.#form(expr);
    if (parens) this.#write(")");
    if (group) this.#write(")");
    this.#withs(expr);
  }

  #form(expr: Expr): void {
    const { form } = expr;
    switch (form.kind) {
      case "term":
        this.#term(form.term);
        return;
      case "call":
        this.#statementCall(form.operator, form.args);
        return;
      case "some":
        this.#some(form.symbols, form.at);
        return;
      case "every":
        this.#insertComments(expr.at.row);
        this.#write("every ");
        if (form.key !== undefined) {
          this.#term(form.key);
          this.#write(", ");
        }
        this.#term(form.value);
        this.#write(" in ");
        // Without its brackets a membership would end in the body's; opa leaves them out, and refuses what it has written.
        this.#itemTerm(form.domain, isGroupedIn(form.domain));
        this.#write(" {");
        this.#tolerate(bodyEnd(form.body), () => this.#nestedBody("{}", form.body, expr.at, expr.at));
        this.#write(form.body.length === 1 && form.body[0]?.at.row === form.at.row ? " }" : "}");
        return;
      case "not":
        this.#not(form.body, form.explicit, expr.at);
        return;
      case "logical":
        this.#logical(expr);
    }
  }

  #withs(expr: Expr): void {
    const [first] = expr.with;
    if (first === undefined) return;
    const text = locationText({ ...expr.at, end: Math.max(expr.at.offset, first.at.offset) });
    let lastRow = expr.at.row + newlines(text.trimEnd());
    let indented = false;
    for (const [i, modifier] of expr.with.entries()) {
      const onNewLine = i === 0 ? modifier.at.row !== lastRow : modifier.at.row > lastRow;
      const breaks = onNewLine && modifier.at.row > lastRow;
      if (breaks) {
        if (!indented) this.#level++;
        indented = true;
        this.#endLine();
        this.#startLine();
      }
      lastRow = breaks || i === 0 ? Math.max(lastRow, modifier.at.row) : lastRow;
      this.#with(modifier, breaks);
    }
    if (indented) this.#level--;
  }

  #with(modifier: With, indented: boolean): void {
    this.#insertComments(modifier.at.row);
    this.#write(indented ? "with " : " with ");
    this.#term(modifier.target);
    this.#write(" as ");
    // A value given up is written as it was: that is no reason to give up the rest.
    this.#tolerate(modifier.value.at.end, () => this.#term(modifier.value));
  }

  #some(symbols: readonly Term[], at: Location): void {
    this.#insertComments(at.row);
    this.#write("some ");
    let { row } = at;
    for (const [i, symbol] of symbols.entries()) {
      if (symbol.kind === "call") {
        this.#membership(symbol.args, false);
        continue;
      }
      if (symbol.at.row > row) {
        this.#endLine();
        this.#startLine();
        this.#write(INDENT);
        row = symbol.at.row;
      } else if (i > 0) {
        this.#write(" ");
      }
      this.#term(symbol);
      if (i < symbols.length - 1) this.#write(",");
    }
  }

  #not(body: Body, explicit: boolean, at: Location): void {
    this.#insertComments(at.row);
    this.#write("not ");
    const first = body[0] as Expr;
    if (explicit || body.length > 1) {
      if (isUnionExpr(first)) this.#parenExpr = first;
      this.#write("{");
      this.#tolerate(bodyEnd(body), () => this.#nestedBody("{}", body, at, at));
      this.#write(body.at(-1)?.at.row === at.row ? " }" : "}");
      return;
    }
    const parens =
      first.with.length > 0 || first.form.kind === "logical" || first.form.kind === "not" || leadsWithBrace(first);
    if (parens) this.#write("(");
    this.#tolerate(first.at.end, () => this.#expr(first));
    if (parens) this.#write(")");
  }

  #logical(expr: Expr): void {
    const { first, steps } = flattenLogical(expr);
    this.#tolerate(bodyEnd(first.body), () => this.#operand(first));
    let indented = false;
    for (const step of steps) {
      this.#write(` ${step.operator}`);
      const start = step.right.explicit ? step.right.brace.row : (step.right.body[0]?.at.row ?? 0);
      if (start > step.leftEndRow) {
        if (!indented) this.#level++;
        indented = true;
        this.#endLine();
        this.#startLine();
      } else {
        this.#write(" ");
      }
      this.#tolerate(bodyEnd(step.right.body), () => this.#operand(step.right));
    }
    if (indented) this.#level--;
  }

  #operand(operand: Operand): void {
    const first = operand.body[0] as Expr;
    if (!operand.explicit) {
      if (operand.parens) this.#write("(");
      this.#closing(operand.parens ? ")" : "", () => this.#expr(first));
      return;
    }
    if (isUnionExpr(first)) this.#parenExpr = first;
    this.#write("{");
    this.#tolerate(bodyEnd(operand.body), () => this.#nestedBody("{}", operand.body, operand.brace, operand.brace));
    this.#write(operand.body.at(-1)?.at.row === operand.brace.row ? " }" : "}");
  }

  /** A union that leads a braced body would be read as a comprehension. */
  #markUnion(expr: Expr): void {
    if (expr.negated) return;
    const { form } = expr;
    if (form.kind === "logical") {
      const { first } = flattenLogical(expr);
      if (!first.explicit && !first.parens) this.#markUnion(first.body[0] as Expr);
      return;
    }
    if (isUnionExpr(expr)) {
      this.#parenExpr = expr;
      return;
    }
    if (form.kind !== "call") return;
    const lead = leadingOperand(form.operator, form.args);
    if (lead !== undefined && isUnion(lead)) this.#parenTerm = lead;
  }

  // --- Calls ------------------------------------------------------------------------------------------------------

  #statementCall(operator: RefTerm, args: readonly Term[]): void {
    const name = operatorName(operator);
    const infix = infixOf(name);
    if (infix === "in") {
      this.#membership(args, false);
      return;
    }
    const [left, right, result] = args;
    if (infix === undefined || left === undefined || right === undefined || args.length > 3) {
      this.#plainCall(operator, args);
      return;
    }
    if (result !== undefined) {
      this.#term(result);
      this.#write(" = ");
    }
    const operand = (term: Term): void => this.#itemTerm(term, name !== "eq" && name !== "assign" && isGroupedIn(term));
    operand(left);
    this.#write(` ${infix} `);
    operand(right);
  }

  #plainCall(operator: RefTerm, args: readonly Term[]): void {
    this.#ref(operator);
    this.#write("(");
    this.#closing(")", () => this.#list(args, operator.at, closingRow("()", operator.at), false));
  }

  #call(call: CallTerm, parens: boolean): void {
    const infix = infixOf(operatorName(call.operator));
    if (infix === "in") {
      const grouped = parens && isGroupedIn(call);
      if (grouped) this.#write("(");
      this.#membership(call.args, true);
      if (grouped) this.#write(")");
      return;
    }
    const [left, right] = call.args;
    if (infix === undefined || left === undefined || right === undefined || call.args.length !== 2) {
      this.#plainCall(call.operator, call.args);
      return;
    }
    if (parens) this.#write("(");
    this.#termAt(left, true);
    this.#write(` ${infix} `);
    this.#termAt(right, true);
    if (parens) this.#write(")");
  }

  #membership(operands: readonly Term[], parens: boolean): void {
    const keyed = operands.length === 3;
    if (keyed && parens) this.#write("(");
    this.#closing(keyed && parens ? ")" : "", () => {
      for (const [i, operand] of operands.entries()) {
        if (i > 0) this.#write(i === operands.length - 1 ? " in " : ", ");
        this.#termAt(operand, true);
      }
    });
  }

  // --- Terms ------------------------------------------------------------------------------------------------------

  #term(term: Term): void {
    if (this.#comments.first === undefined) {
      this.#termAt(term, false);
      return;
    }
    const { length } = this.#out;
    const level = this.#level;
    const comments = this.#comments;
    try {
      this.#termAt(term, false);
    } catch (error) {
      if (!(error instanceof UnexpectedComment)) throw error;
      this.#out = this.#out.slice(0, length);
      this.#level = level;
      const row = this.#lineEnd?.at.row;
      if (row !== undefined && row >= term.at.row && row <= endRow(term.at)) this.#lineEnd = undefined;
      this.#comments = comments;
      this.#unformatted(term.at);
      throw new UnexpectedComment(term.at.end);
    }
  }

  #termAt(term: Term, inInfix: boolean): void {
    let parens = inInfix;
    if (this.#parenTerm === term) {
      this.#parenTerm = undefined;
      parens = true;
    }
    this.#insertComments(rowOf(term.at));
    if (!this.#inline) this.#startLine();
    this.#value(term, parens);
    if (!this.#inline) this.#startLine();
  }

  #value(term: Term, parens: boolean): void {
    switch (term.kind) {
      case "ref":
        this.#ref(term);
        return;
      case "object": {
        const entries = sortedEntries(term.entries).map(([key, value]) => ({ key, value }));
        this.#write("{");
        this.#closing("}", () => this.#list(entries, term.at, closingRow("{}", term.at), true));
        return;
      }
      case "array":
        this.#write("[");
        this.#closing("]", () => this.#list(term.items, term.at, closingRow("[]", term.at), true));
        return;
      case "set":
        if (term.items.length === 0) {
          this.#write("set()");
          this.#insertComments(closingRow("()", term.at));
          return;
        }
        this.#write("{");
        this.#closing("}", () => this.#list(sortedItems(term.items), term.at, closingRow("{}", term.at), true));
        return;
      case "arraycomprehension":
      case "setcomprehension":
      case "objectcomprehension":
        this.#comprehension(term);
        return;
      case "string":
        this.#write(stringText(term));
        return;
      case "templatestring":
        this.#template(term);
        return;
      case "var":
        this.#write(this.#variable(term.name));
        return;
      case "call":
        this.#call(term, parens);
        return;
      case "number":
        this.#write(numberText(term.value));
        return;
      case "boolean":
        this.#write(String(term.value));
        return;
      case "null":
        this.#write("null");
    }
  }

  #variable(name: string): string {
    if (!name.startsWith("$")) return name;
    return this.#repeated.has(name) ? `_${name.slice(1)}` : "_";
  }

  /** A term that cannot hold comments, on one line. */
  #plain(term: Term): string {
    return term.kind === "var" ? this.#variable(term.name) : termToText(term);
  }

  #ref(ref: RefTerm): void {
    const [head, ...path] = ref.terms;
    if (head === undefined) return;
    this.#termAt(head, head.kind === "call" && startsWithParen(head));
    for (const part of path) {
      if (part.kind === "string")
        this.#write(this.#needsBrackets(part) ? `[${quoteGo(part.value)}]` : `.${part.value}`);
      else if (part.kind === "var") this.#write(`[${this.#variable(part.name)}]`);
      else {
        this.#write("[");
        // The bracket must not become a part of the comment.
        if (this.#tolerate(part.at.end, () => this.#term(part))) this.#write("\n");
        this.#write("]");
      }
    }
  }

  #needsBrackets(part: StringTerm): boolean {
    if (!WORD.test(part.value)) return true;
    const keyword = isReserved(part.value, this.#v1 ? "v1" : "v0") || this.#facts.futureKeywords.includes(part.value);
    // Keywords stay as they were written: `x.not` or `x["not"]`.
    return keyword && locationText(part.at).startsWith('"');
  }

  #template(term: TemplateString): void {
    const quote = term.multiline ? "`" : '"';
    this.#write(`$${quote}`);
    for (const [i, part] of term.parts.entries()) {
      if (!("form" in part)) {
        this.#write(templateText(part, term.multiline));
        continue;
      }
      this.#templateExpr(part, term.parts[i + 1]);
    }
    this.#write(quote);
  }

  #templateExpr(expr: Expr, next: ScalarTerm | Expr | undefined): void {
    this.#write("{");
    this.#level++;
    if (this.#lineEnd !== undefined) {
      this.#endLine();
      this.#startLine();
    } else {
      const before = this.#takeAbove(expr.at.row);
      if (before.length > 0) {
        this.#write(" ");
        this.#inline = true;
        this.#writeComments(before);
      }
    }
    this.#expr(expr);
    if (next !== undefined) {
      const before = this.#takeAbove(next.at.row);
      if (before.length > 0) {
        this.#endLine();
        this.#writeComments(before);
        this.#startLine();
      }
    }
    this.#write("}");
    this.#level--;
  }

  // --- Collections ------------------------------------------------------------------------------------------------

  #comprehension(term: Comprehension): void {
    const brackets = term.kind === "arraycomprehension" ? "[]" : "{}";
    this.#write(brackets[0] as string);
    this.#closing(brackets[1] as string, () => {
      let head: Term;
      let headAt: Location;
      if (term.kind === "objectcomprehension") {
        const parens = isUnion(term.key);
        if (parens) this.#write("(");
        this.#term(term.key);
        this.#write(parens ? "): " : ": ");
        // The value never moves to a line of its own.
        headAt = { ...term.value.at, row: term.at.row };
        head = { ...term.value, at: headAt };
      } else {
        head = term.term;
        headAt = head.at;
        if (headAt.row > term.at.row) {
          this.#endLine();
          this.#startLine();
        }
      }
      // A negative variable is written as a difference, which must not stand bare before the bar (opa fmt leaves it so).
      const parens = head.kind === "call" && (isUnion(head) || startsWithParen(head) || head.operator.at.row === 0);
      this.#termAt(head, parens);
      this.#write(" |");
      this.#nestedBody(brackets, term.body, headAt, term.at);
    });
  }

  /** A body in braces or brackets, which stays on its line if all of it does. */
  #nestedBody(brackets: string, body: Body, before: Location, outer: Location): void {
    const lines = groupByLine(body, before.row);
    if ((body[0]?.at.row ?? 0) > before.row || lines.length > 1) {
      this.#endLine();
      this.#level++;
      try {
        this.#body(body);
        this.#closeBody(brackets, body, outer);
      } finally {
        this.#level--;
        this.#startLine();
      }
      return;
    }
    this.#write(" ");
    for (const [i, expr] of body.entries()) {
      if (i > 0) this.#write("; ");
      this.#expr(expr);
    }
    this.#closeBody(brackets, body, outer);
  }

  #closeBody(brackets: string, body: Body, outer: Location): void {
    try {
      this.#insertComments(closingRow(brackets, outer));
    } catch (error) {
      throw error instanceof UnexpectedComment ? new UnexpectedComment(bodyEnd(body)) : error;
    }
  }

  /** The items of a collection or call. Items on one line stay on one line. */
  #list(items: readonly Item[], at: Location, closeRow: number, isCollection: boolean): void {
    const lines = groupByLine(items, at.row);
    let breakFirst = false;
    if (lines.length === 1) {
      const next = this.#comments.firstBelow(at.row);
      if (next !== undefined && next.at.row < closeRow) throw new UnexpectedComment();
      const [first] = items;
      if (first !== undefined) {
        const text = locationText(at);
        const cut = text.indexOf(searchText(first));
        breakFirst = cut > 0 && text.slice(0, cut).indexOf("\n") > 0;
      }
    }
    const multiline = lines.length > 1 || breakFirst;
    if (multiline) {
      this.#delayLineEnd = true;
      this.#endLine();
      this.#level++;
      this.#startLine();
    }
    for (const [i, line] of lines.entries()) {
      if (i > 0) {
        this.#write(",");
        this.#endLine();
        this.#startLine();
      }
      for (const [j, item] of line.entries()) {
        if (j > 0) this.#write(", ");
        this.#item(item, isCollection);
      }
    }
    if (!multiline) return;
    this.#write(",");
    this.#endLine();
    this.#insertComments(closeRow);
    this.#level--;
    this.#startLine();
  }

  #item(item: Item, isCollection: boolean): void {
    if ("form" in item) return;
    if ("key" in item && !("kind" in item)) {
      this.#itemTerm(item.key, isUnion(item.key));
      this.#write(": ");
      this.#itemTerm(item.value, isUnion(item.value));
      return;
    }
    const term = item as Term;
    this.#itemTerm(term, isUnion(term) && (isCollection || startsWithParen(term)));
  }

  #itemTerm(term: Term, parens: boolean): void {
    if (!parens) {
      this.#term(term);
      return;
    }
    this.#write("(");
    this.#closing(")", () => this.#term(term));
  }
}

// --- Places -------------------------------------------------------------------------------------------------------

interface Place {
  readonly row: number;
  readonly col: number;
}

function placeOf(statement: Statement): Place {
  return "import" in statement ? statement.import : statement.rule.at;
}

function comparePlaces(a: Place, b: Place): number {
  return a.row === b.row ? a.col - b.col : a.row - b.row;
}

/** Generated nodes count as standing at the top. */
function rowOf(at: Location): number {
  return Math.max(1, at.row);
}

function newlines(text: string): number {
  let count = 0;
  for (let i = text.indexOf("\n"); i !== -1; i = text.indexOf("\n", i + 1)) count++;
  return count;
}

function endRow(at: Location): number {
  return at.row + newlines(locationText(at));
}

/** The row of the bracket that closes the first pair in a text, or -1. Strings are not told from code, as in OPA. */
function closingRow(pair: string, at: Location, skip = ""): number {
  const text = locationText(at);
  let from = 0;
  let row = 0;
  if (skip !== "") {
    const skipped = matchPair(text, skip, 0);
    from = skipped?.end ?? text.length;
    row = skipped?.rows ?? 0;
  }
  const found = matchPair(text, pair, from);
  return found?.closed === true ? at.row + row + found.rows : -1;
}

function matchPair(
  text: string,
  pair: string,
  from: number,
): { closed: boolean; end: number; rows: number } | undefined {
  const [open = "", close = ""] = pair;
  const start = text.indexOf(open, from);
  if (start === -1) return undefined;
  let depth = 1;
  let rows = 0;
  for (let i = start + 1; i < text.length; i++) {
    const char = text[i];
    if (char === open) depth++;
    else if (char === close) {
      depth--;
      if (depth === 0) return { closed: true, end: i, rows };
    } else if (char === "\n") rows++;
  }
  return { closed: false, end: text.length, rows };
}

/** Items by the line they start on. Where a place is missing or not to be trusted, all are on one line. */
function groupByLine(items: readonly Item[], row: number): readonly (readonly Item[])[] {
  if (items.some(isUnplaced)) return [items];
  const sorted = [...items].sort((a, b) => comparePlaces(itemAt(a), itemAt(b)));
  const lines: Item[][] = [];
  let current: Item[] = [];
  let lastRow = row;
  for (const [i, item] of sorted.entries()) {
    const at = itemAt(item);
    if (at.row > lastRow && i > 0) {
      lines.push(current);
      current = [];
    }
    lastRow = at.row;
    current.push(item);
  }
  lines.push(current);
  return lines;
}

function itemAt(item: Item): Location {
  return "at" in item ? item.at : item.key.at;
}

/** Entries of objects have been written by somebody. */
function isUnplaced(item: Item): boolean {
  if (!("at" in item)) return false;
  let found = false;
  const look = (term: Term): boolean => {
    if (term.at.row === 0 || (term.kind === "var" && term.name.startsWith("__local"))) found = true;
    return !found;
  };
  visit(item, { term: look });
  return found;
}

/** What OPA takes for the text of a list's first item; of a negative number it knows the sign only. */
function searchText(item: Item): string {
  const term = "key" in item && !("kind" in item) ? item.key : item;
  const text = locationText((term as Term).at);
  return "kind" in term && term.kind === "number" && text.startsWith("-") ? "-" : text;
}

function groupImports(imports: readonly PlacedImport[]): readonly (readonly PlacedImport[])[] {
  const groups: PlacedImport[][] = [];
  for (const placed of imports) {
    const last = groups.at(-1)?.at(-1);
    if (last !== undefined && placed.row - last.row <= 1) groups.at(-1)?.push(placed);
    else groups.push([placed]);
  }
  return groups;
}

// --- Texts --------------------------------------------------------------------------------------------------------

function isMetadata(comment: Comment): boolean {
  return comment.at.col === 1 && comment.text.trim().startsWith("METADATA");
}

function plainName(term: Term): string {
  return term.kind === "string" ? term.value : termToText(term);
}

/** A string as it was written. */
function stringText(term: StringTerm): string {
  const text = locationText(term.at);
  if (text.startsWith("`")) return text;
  const quote = text.at(-1) ?? "";
  // The place of an else value begins at its `else`.
  const start = quote === '"' || quote === "`" ? text.indexOf(quote) : -1;
  return start === -1 ? quoteGo(term.value) : text.slice(start);
}

function templateText(part: ScalarTerm, raw: boolean): string {
  if (part.kind !== "string") return termToText(part);
  const text = raw ? part.value : quoteGo(part.value);
  const escaped = text.replace(/(?<!\\)\{/g, "\\{");
  return raw ? escaped : escaped.slice(1, -1);
}

function startsWithParen(term: Term): boolean {
  return locationText(term.at).startsWith("(");
}

// --- Shapes -------------------------------------------------------------------------------------------------------

function isSetTerm(expr: Expr): boolean {
  return !expr.negated && expr.form.kind === "term" && expr.form.term.kind === "set";
}

function isUnion(term: Term): boolean {
  return term.kind === "call" && operatorName(term.operator) === "or";
}

function isUnionExpr(expr: Expr): boolean {
  return expr.form.kind === "call" && expr.form.args.length === 2 && operatorName(expr.form.operator) === "or";
}

/**
 * Whether the author put `x in xs` in parentheses. It binds loosest of all, so that as an operand it needs them (opa fmt
 * drops them, and so changes the meaning of `(x in xs) == y`).
 */
function isGroupedIn(term: Term): boolean {
  return term.kind === "call" && operatorName(term.operator) === "internal.member_2" && startsWithParen(term);
}

/** The operand that an infix call is written with first: its result, if that is given. */
function leadingOperand(operator: RefTerm, args: readonly Term[]): Term | undefined {
  const name = operatorName(operator);
  if (infixOf(name) === undefined) return undefined;
  const arity = name === "internal.member_3" ? 3 : 2;
  if (args.length === arity) return args[0];
  return args.length === arity + 1 ? args.at(-1) : undefined;
}

/** Whether an expression is written with a brace first, which an operand's place would make a body. */
function leadsWithBrace({ form }: Expr): boolean {
  if (form.kind === "term") return termLeadsWithBrace(form.term);
  if (form.kind !== "call") return false;
  const lead = leadingOperand(form.operator, form.args);
  return lead !== undefined && termLeadsWithBrace(lead);
}

function termLeadsWithBrace(term: Term): boolean {
  switch (term.kind) {
    case "set":
      return term.items.length > 0;
    case "object":
    case "setcomprehension":
    case "objectcomprehension":
      return true;
    case "ref":
      return term.terms[0] !== undefined && termLeadsWithBrace(term.terms[0]);
    case "call": {
      const [first] = term.args;
      const lead = leadingOperand(term.operator, term.args);
      return lead !== undefined && lead === first && termLeadsWithBrace(lead);
    }
    default:
      return false;
  }
}

/** A left-leaning chain as its first operand and the operators applied to it. Operands in parentheses stay whole. */
function flattenLogical(expr: Expr): { readonly first: Operand; readonly steps: readonly LogicalStep[] } {
  const steps: LogicalStep[] = [];
  let current = expr;
  for (;;) {
    const { form, at } = current;
    if (form.kind !== "logical") throw new TypeError("not a logical expression");
    const { operator, left } = form;
    const right = operandOf(form.right, form.explicitRight === true, operator, true, at);
    const inner = left[0];
    const chained =
      form.explicitLeft !== true &&
      left.length === 1 &&
      inner?.form.kind === "logical" &&
      !operandNeedsParens(inner, operator, false);
    if (chained) {
      steps.push({ operator, right, leftEndRow: bodyEndRow(left) });
      current = inner;
      continue;
    }
    const first = operandOf(left, form.explicitLeft === true, operator, false, at);
    const braceRow = first.explicit ? closingRow("{}", first.brace) : -1;
    steps.push({ operator, right, leftEndRow: braceRow > 0 ? braceRow : bodyEndRow(left) });
    return { first, steps: steps.reverse() };
  }
}

function operandOf(body: Body, explicit: boolean, operator: "and" | "or", right: boolean, node: Location): Operand {
  const first = body[0];
  if (explicit || body.length !== 1 || first === undefined) {
    return { body, explicit: true, parens: false, brace: braceBefore(body, node) };
  }
  return { body, explicit: false, parens: operandNeedsParens(first, operator, right), brace: node };
}

function operandNeedsParens(expr: Expr, operator: "and" | "or", right: boolean): boolean {
  if (expr.with.length > 0) return true;
  const { form } = expr;
  if (form.kind === "logical") {
    return form.operator === "or" ? operator === "and" || right : operator === "and" && right;
  }
  return leadsWithBrace(expr);
}

/** Where the code of a body ends. */
function bodyEnd(body: Body): number {
  return body.at(-1)?.at.end ?? 0;
}

function bodyEndRow(body: Body): number {
  const last = body.at(-1);
  return last === undefined ? 0 : last.at.row + newlines(locationText(last.at).trimEnd());
}

/** The place of the brace that opens an operand, from there to the end of its expression. */
function braceBefore(body: Body, node: Location): Location {
  const first = body[0];
  if (first === undefined) return node;
  const text = locationText(node);
  const brace = text.lastIndexOf("{", Math.min(first.at.offset - node.offset, text.length) - 1);
  if (brace === -1) return node;
  return { ...node, row: node.row + newlines(text.slice(0, brace)), offset: node.offset + brace };
}
