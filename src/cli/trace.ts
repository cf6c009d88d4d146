import type { Location } from "../base/index.ts";
import type { Module, Policy, Tracer } from "../rego/engine/index.ts";
import { type Expr, type Rule, ruleRefToText, termToText, visit } from "../rego/syntax/index.ts";
import type { Value } from "../rego/value/index.ts";
import { locationDocument } from "./failure.ts";
import type { FlagValues } from "./flags.ts";
import type { Document } from "./output.ts";

type Kind = Parameters<Tracer["event"]>[0];

/** OPA's operations, as far as they can be told from a program that was compiled. */
type Operation = "Enter" | "Eval" | "Exit" | "Fail" | "Note" | "Redo";

/** A query, a rule or a closure that is being evaluated. */
interface Frame {
  readonly id: number;
  readonly at: Location | undefined;
  readonly parent: Frame | undefined;
  readonly depth: number;
  /** Its `Enter` has been recorded: what OPA's rule index leaves out is not entered. */
  isShown: boolean;
  /** Expressions that hold, in the order they were reached. */
  readonly holding: Location[];
  /** The expression that was reached last, and has not held yet. */
  pending: Location | undefined;
}

interface TraceEvent {
  readonly operation: Operation;
  readonly at: Location | undefined;
  readonly frame: Frame;
  readonly depth: number;
  readonly message: string;
}

export interface ProfileEntry {
  readonly total_time_ns: number;
  readonly num_eval: number;
  readonly num_redo: number;
  readonly num_gen_expr: number;
  readonly location: { readonly file: string; readonly row: number; readonly col: number };
}

interface Timing {
  readonly at: Location;
  nanoseconds: number;
  evals: number;
  exits: number;
}

/** More events than anybody reads; further ones are counted only. */
const MAX_EVENTS = 100_000;

/** Listens to an evaluation, for `--explain`, `--profile` and `--coverage`. */
export class Recorder implements Tracer {
  #events: TraceEvent[] = [];
  #frame: Frame | undefined;
  #frames = 0;
  #timings = new Map<string, Timing>();
  #covered = new Map<string, Location>();
  #current: { readonly timing: Timing; readonly since: number } | undefined;

  clear(): void {
    this.#events = [];
    this.#frame = undefined;
    this.#frames = 0;
    this.#timings = new Map();
    this.#covered = new Map();
    this.#current = undefined;
  }

  event(kind: Kind, at: Location, _locals: () => ReadonlyMap<string, Value>): void {
    this.#follow(kind, at);
    if (kind !== "leave") this.#measure(kind, at);
    if ((kind === "eval" || kind === "exit") && at.source.name !== "") this.#covered.set(placeKey(at), at);
  }

  note(message: string): void {
    const frame = this.#frame;
    if (frame !== undefined) this.#record("Note", frame.pending, frame, JSON.stringify(message));
  }

  /** Makes OPA's operations of what the program reports: an expression that is left without having held has failed. */
  #follow(kind: Kind, at: Location): void {
    if (kind === "enter") {
      this.#enter(at);
      return;
    }
    const frame = this.#frame ?? this.#enter(at);
    if (kind === "leave") {
      this.#fail(frame);
      this.#redo(frame, 0);
      this.#frame = frame.parent;
    } else if (kind === "eval") {
      this.#fail(frame);
      this.#record("Eval", at, frame);
      frame.pending = at;
    } else if (frame.at === at && frame.pending !== at) {
      this.#record("Exit", at, frame);
    } else if (frame.pending === at) {
      frame.pending = undefined;
      frame.holding.push(at);
    } else {
      // An expression before the last holds once more: all after it begin again.
      this.#fail(frame);
      this.#redo(frame, Math.max(frame.holding.lastIndexOf(at), 0));
      frame.holding.push(at);
    }
  }

  #enter(at: Location): Frame {
    const parent = this.#frame;
    const depth = parent === undefined ? 0 : parent.depth + 1;
    const id = this.#frames++;
    this.#frame = { id, at, parent, depth, isShown: false, holding: [], pending: undefined };
    return this.#frame;
  }

  #fail(frame: Frame): void {
    if (frame.pending !== undefined) this.#record("Fail", frame.pending, frame);
    frame.pending = undefined;
  }

  #redo(frame: Frame, from: number): void {
    while (frame.holding.length > from) this.#record("Redo", frame.holding.pop(), frame);
  }

  #record(operation: Operation, at: Location | undefined, frame: Frame, message = ""): void {
    if (this.#events.length >= MAX_EVENTS) return;
    this.#show(frame);
    this.#events.push({ operation, at, frame, depth: frame.depth + 1, message });
  }

  #show(frame: Frame): void {
    if (frame.isShown) return;
    if (frame.parent !== undefined) this.#show(frame.parent);
    frame.isShown = true;
    this.#events.push({ operation: "Enter", at: frame.at, frame, depth: frame.depth, message: "" });
  }

  /** The time until the next event belongs to the expression evaluated last. */
  #measure(kind: Kind, at: Location): void {
    const now = performance.now();
    if (this.#current !== undefined) this.#current.timing.nanoseconds += Math.round((now - this.#current.since) * 1e6);
    const key = placeKey(at);
    let timing = this.#timings.get(key);
    if (timing === undefined) {
      timing = { at, nanoseconds: 0, evals: 0, exits: 0 };
      this.#timings.set(key, timing);
    }
    if (kind === "eval") timing.evals++;
    else if (kind === "exit") timing.exits++;
    this.#current = { timing, since: now };
  }

  /** The parts of the result that were asked for. */
  report(policy: Policy | undefined, values: FlagValues): Readonly<Record<string, Document>> {
    const mode = values.string("explain") ?? "off";
    const explanation = this.#explanation(mode, policy?.program.modules ?? []);
    const profile = values.bool("profile") ? this.#profile(values) : [];
    return {
      ...(explanation.length > 0 && { explanation }),
      ...(profile.length > 0 && { profile: profile as unknown as Document }),
      ...(values.bool("coverage") && { coverage: coverageReport(policy?.program.modules ?? [], this.#covered) }),
    };
  }

  /** What was evaluated so far, as a report on modules. */
  coverage(policy: Policy): { readonly percent: number; readonly document: Document } {
    const document = coverageReport(policy.program.modules, this.#covered) as { readonly coverage: number };
    return { percent: document.coverage, document: document as unknown as Document };
  }

  /** The expressions that were reached and never held, in the order they were reached. */
  failuresText(): string {
    const failed = [...this.#timings.values()].filter(
      ({ at, evals, exits }) => at.source.name !== "" && evals > 0 && exits === 0,
    );
    const places = failed.map(({ at }) => `${at.source.name}:${at.row}`);
    const width = Math.max(0, ...places.map((place) => place.length));
    return failed.map(({ at }, i) => `${(places[i] as string).padEnd(width)}  Fail ${textOf(at)}\n`).join("");
  }

  #explanation(mode: string, modules: readonly Module[]): readonly Document[] {
    if (mode === "off") return [];
    if (this.#frame !== undefined) this.#fail(this.#frame);
    const heads = headTexts(modules);
    return this.#wanted(mode).map(({ operation, at, frame, depth, message }) => ({
      Op: operation,
      Location: at === undefined ? null : locationDocument(at),
      QueryID: frame.id,
      ParentID: frame.parent?.id ?? 0,
      Depth: depth,
      Text: at === undefined ? undefined : (heads.get(placeKey(at)) ?? textOf(at)),
      Message: message,
    }));
  }

  /** All events, or the notes or failures with what had been entered to get there. */
  #wanted(mode: string): readonly TraceEvent[] {
    if (mode !== "notes" && mode !== "fails") return this.#events;
    const wanted: Operation = mode === "notes" ? "Note" : "Fail";
    const ways = new Set<Frame>();
    for (const { operation, frame } of this.#events) {
      if (operation !== wanted) continue;
      for (let way: Frame | undefined = frame; way !== undefined && !ways.has(way); way = way.parent) ways.add(way);
    }
    return this.#events.filter(
      ({ operation, frame }) => operation === wanted || (operation === "Enter" && ways.has(frame)),
    );
  }

  #profile(values: FlagValues): readonly ProfileEntry[] {
    const entries = [...this.#timings.values()]
      .filter(({ evals }) => evals > 0)
      .map(
        ({ at, nanoseconds, evals, exits }): ProfileEntry => ({
          total_time_ns: nanoseconds,
          num_eval: evals,
          num_redo: exits,
          num_gen_expr: 1,
          location: { file: at.source.name, row: at.row, col: at.col },
        }),
      );
    const given = values.list("profile-sort").flatMap((item) => item.split(","));
    const order = [...given, "total_time_ns", "num_eval", "num_redo", "num_gen_expr", "file", "line"];
    const limit = values.int("profile-limit");
    entries.sort((a, b) => compareEntries(a, b, order));
    return limit > 0 ? entries.slice(0, limit) : entries;
  }

  /** An explanation for people: one line for each event, indented by depth. */
  static explanationText(explanation: Document): string {
    if (!Array.isArray(explanation)) return "";
    type Shown = {
      readonly Op: string;
      readonly Location: { readonly file: string; readonly row: number } | null;
      readonly Depth: number;
      readonly Text?: string;
      readonly Message: string;
    };
    const events = explanation as unknown as readonly Shown[];
    const places = events.map(({ Location: at }) =>
      at === null ? "" : `${at.file === "" ? "query" : at.file}:${at.row}`,
    );
    const width = places.reduce((longest, place) => Math.max(longest, place.length), 0);
    return events
      .map(
        ({ Op, Depth, Text, Message }, i) =>
          `${(places[i] as string).padEnd(width)}     ${"| ".repeat(Depth)}${Op} ${Op === "Note" ? Message : Text}\n`,
      )
      .join("");
  }
}

function compareEntries(a: ProfileEntry, b: ProfileEntry, order: readonly string[]): number {
  for (const criterion of order) {
    let difference = 0;
    if (criterion === "file")
      difference = a.location.file < b.location.file ? -1 : a.location.file > b.location.file ? 1 : 0;
    else if (criterion === "line") difference = a.location.row - b.location.row;
    else if (
      criterion === "total_time_ns" ||
      criterion === "num_eval" ||
      criterion === "num_redo" ||
      criterion === "num_gen_expr"
    ) {
      difference = b[criterion] - a[criterion];
    }
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Tells places apart. */
export function placeKey(at: Location): string {
  return `${at.source.name}\n${at.offset}\n${at.end}`;
}

function textOf(at: Location): string {
  return at.source.text.slice(at.offset, at.end).replace(/\s+/g, " ");
}

interface Range {
  readonly start: { readonly row: number; readonly col: number };
  readonly end: { readonly row: number; readonly col: number };
}

/** First character of a span, and the place just past it. */
function rangeOf(at: Location): Range {
  const lines = at.source.text.slice(at.offset, at.end).split("\n");
  const last = [...(lines.at(-1) ?? "")].length;
  return {
    start: { row: at.row, col: at.col },
    end: { row: at.row + lines.length - 1, col: lines.length === 1 ? at.col + last : last + 1 },
  };
}

/**
 * Which heads and expressions of the modules were evaluated, as `opa eval --coverage` reports it.
 *
 * @param evaluated places of expressions that were reached, and of rules that were true, by `placeKey`.
 */
export function coverageReport(modules: readonly Module[], evaluated: ReadonlyMap<string, Location>): Document {
  const heads = headsOf(modules);
  const covered = new Map<string, Map<string, Range>>();
  const cover = (at: Location): void => {
    const range = rangeOf(at);
    const file = covered.get(at.source.name) ?? new Map<string, Range>();
    covered.set(at.source.name, file.set(JSON.stringify(range), range));
  };
  for (const [key, at] of evaluated) cover(heads.get(key) ?? at);
  for (const { head } of defaultsIn(modules, evaluated)) cover(head.at);
  const files = modules
    .map((module) => fileReport(module, inOrder(covered.get(module.file)?.values() ?? [])))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const coveredLines = files.reduce((sum, file) => sum + file.coveredLines, 0);
  const missedLines = files.reduce((sum, file) => sum + file.missedLines, 0);
  return {
    files: Object.fromEntries(files.map(({ name, document }) => [name, document])),
    covered_lines: coveredLines,
    not_covered_lines: missedLines,
    coverage: percentage(coveredLines, coveredLines + missedLines),
  };
}

/** Default rules that were asked: all that is reported of them is their body, which stands for the word `default`. */
function defaultsIn(modules: readonly Module[], evaluated: ReadonlyMap<string, Location>): readonly Rule[] {
  return modules.flatMap(({ rules }) =>
    rules.filter((rule) => rule.default && rule.body.some(({ at }) => evaluated.has(placeKey(at)))),
  );
}

interface FileReport {
  readonly name: string;
  readonly coveredLines: number;
  readonly missedLines: number;
  readonly document: Document;
}

function fileReport(module: Module, covered: readonly Range[]): FileReport {
  const missed = new Map<string, Range>();
  for (const at of placesOf(module)) {
    const range = rangeOf(at);
    if (!covered.some((candidate) => encloses(candidate, range))) missed.set(JSON.stringify(range), range);
  }
  const notCovered = inOrder(missed.values());
  const coveredLines = linesOf(covered).size;
  const missedLines = linesOf(notCovered).size;
  return {
    name: module.file,
    coveredLines,
    missedLines,
    document: {
      covered: covered.length > 0 ? (covered as unknown as Document) : undefined,
      not_covered: notCovered.length > 0 ? (notCovered as unknown as Document) : undefined,
      covered_lines: coveredLines > 0 ? coveredLines : undefined,
      not_covered_lines: missedLines > 0 ? missedLines : undefined,
      coverage: coveredLines > 0 ? percentage(coveredLines, coveredLines + missedLines) : undefined,
    },
  };
}

function percentage(part: number, all: number): number {
  return all === 0 ? 0 : (100 * part) / all;
}

function linesOf(ranges: readonly Range[]): ReadonlySet<number> {
  const rows = new Set<number>();
  for (const { start, end } of ranges) for (let row = start.row; row <= end.row; row++) rows.add(row);
  return rows;
}

function comparePlaces(a: Range["start"], b: Range["start"]): number {
  return a.row === b.row ? a.col - b.col : a.row - b.row;
}

function encloses(outer: Range, inner: Range): boolean {
  return comparePlaces(outer.start, inner.start) <= 0 && comparePlaces(inner.end, outer.end) <= 0;
}

function inOrder(ranges: Iterable<Range>): readonly Range[] {
  return [...ranges].sort((a, b) => {
    const byStart = comparePlaces(a.start, b.start);
    return byStart === 0 ? comparePlaces(a.end, b.end) : byStart;
  });
}

/** What the engine reports of a rule is its whole place; what is shown is the place of its head. */
function headsOf(modules: readonly Module[]): ReadonlyMap<string, Location> {
  const heads = new Map<string, Location>();
  for (const { rules } of modules) {
    for (const rule of rules) for (const branch of branchesOf(rule)) heads.set(placeKey(branch.at), branch.head.at);
  }
  return heads;
}

/** How rules are named where they are entered and left: `data.policy.allow`. */
function headTexts(modules: readonly Module[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const module of modules) {
    for (const rule of module.rules)
      for (const branch of branchesOf(rule))
        texts.set(placeKey(branch.at), `${termToText(module.package.path)}.${ruleRefToText(branch)}`);
  }
  return texts;
}

function* branchesOf(rule: Rule): Generator<Rule> {
  for (let branch: Rule | undefined = rule; branch !== undefined; branch = branch.else) yield branch;
}

/** Heads of rules and expressions, also those of closures; declarations evaluate nothing. */
function placesOf(module: Module): readonly Location[] {
  const places: Location[] = [];
  const visitor = {
    expr: (expr: Expr) => {
      if (expr.form.kind !== "some" && !expr.generated) places.push(expr.at);
      return true;
    },
  };
  for (const rule of module.rules) {
    for (const branch of branchesOf(rule)) {
      places.push(branch.head.at);
      if (branch.head.value !== undefined) visit(branch.head.value, visitor);
      if (!branch.generatedBody && !branch.default) visit(branch.body, visitor);
    }
  }
  return places;
}
