import type { Location } from "../base/index.ts";
import type { Module, Policy, Tracer } from "../rego/engine/index.ts";
import { type Expr, type Rule, visit } from "../rego/syntax/index.ts";
import type { Value } from "../rego/value/index.ts";
import { locationDocument } from "./failure.ts";
import type { FlagValues } from "./flags.ts";
import type { Document } from "./output.ts";

type Kind = Parameters<Tracer["event"]>[0];

interface TraceEvent {
  readonly kind: Kind | "note";
  readonly at: Location | undefined;
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
  #depth = 0;
  #timings = new Map<string, Timing>();
  #covered = new Map<string, Location>();
  #current: { readonly timing: Timing; readonly since: number } | undefined;

  clear(): void {
    this.#events = [];
    this.#depth = 0;
    this.#timings = new Map();
    this.#covered = new Map();
    this.#current = undefined;
  }

  event(kind: Kind, at: Location, _locals: () => ReadonlyMap<string, Value>): void {
    if (kind === "enter") this.#depth++;
    this.#record(kind, at, "");
    this.#measure(kind, at);
    if (kind === "eval" || kind === "exit") this.#covered.set(keyOf(at), at);
  }

  note(message: string): void {
    this.#record("note", undefined, message);
  }

  #record(kind: Kind | "note", at: Location | undefined, message: string): void {
    if (this.#events.length < MAX_EVENTS) this.#events.push({ kind, at, depth: this.#depth, message });
  }

  /** The time until the next event belongs to the expression evaluated last. */
  #measure(kind: Kind, at: Location): void {
    const now = performance.now();
    if (this.#current !== undefined) this.#current.timing.nanoseconds += Math.round((now - this.#current.since) * 1e6);
    const key = keyOf(at);
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
    const explanation = this.#explanation(mode);
    return {
      ...(explanation.length > 0 && { explanation }),
      ...(values.bool("profile") && { profile: this.#profile(values) as unknown as Document }),
      ...(values.bool("coverage") && { coverage: coverageReport(policy?.program.modules ?? [], this.#covered) }),
    };
  }

  #explanation(mode: string): readonly Document[] {
    if (mode === "off") return [];
    const wanted = this.#events.filter(({ kind }) =>
      mode === "notes" ? kind === "note" : mode === "fails" ? kind === "fail" : true,
    );
    return wanted.map(({ kind, at, depth, message }) => ({
      Op: `${kind[0]?.toUpperCase() ?? ""}${kind.slice(1)}`,
      Location: at === undefined ? null : locationDocument(at),
      Depth: depth,
      Text: at === undefined ? undefined : textOf(at),
      Message: message,
    }));
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
      at === null ? "note" : `${at.file === "" ? "query" : at.file}:${at.row}`,
    );
    const width = Math.max(...places.map((place) => place.length));
    return events
      .map(
        ({ Op, Depth, Text, Message }, i) =>
          `${(places[i] as string).padEnd(width)}  ${"| ".repeat(Depth)}${Op} ${Text ?? JSON.stringify(Message)}\n`,
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

function keyOf(at: Location): string {
  return `${at.source.name}\n${at.offset}\n${at.end}`;
}

function textOf(at: Location): string {
  return at.source.text.slice(at.offset, at.end).replace(/\s+/g, " ");
}

interface Range {
  readonly start: { readonly row: number; readonly col: number };
  readonly end: { readonly row: number; readonly col: number };
}

/** First and last character of a span. */
function rangeOf(at: Location): Range {
  const text = at.source.text.slice(at.offset, at.end);
  const lines = text.split("\n");
  const last = lines.at(-1) ?? "";
  const col = lines.length === 1 ? at.col + [...last].length - 1 : [...last].length;
  return { start: { row: at.row, col: at.col }, end: { row: at.row + lines.length - 1, col: Math.max(1, col) } };
}

/** Which heads and expressions of the modules were evaluated, as `opa eval --coverage` reports it. */
export function coverageReport(modules: readonly Module[], covered: ReadonlyMap<string, Location>): Document {
  const files: Record<string, { covered: Range[]; not_covered: Range[] }> = {};
  for (const module of modules) {
    const file = { covered: new Map<string, Range>(), notCovered: new Map<string, Range>() };
    for (const at of placesOf(module))
      (covered.has(keyOf(at)) ? file.covered : file.notCovered).set(keyOf(at), rangeOf(at));
    files[module.file] = { covered: inOrder(file.covered.values()), not_covered: inOrder(file.notCovered.values()) };
  }
  let coveredLines = 0;
  let allLines = 0;
  const reports = Object.keys(files)
    .sort()
    .map((name) => {
      const { covered: hit, not_covered: missed } = files[name] as { covered: Range[]; not_covered: Range[] };
      const hitLines = linesOf(hit);
      const missedLines = [...linesOf(missed)].filter((row) => !hitLines.has(row)).length;
      coveredLines += hitLines.size;
      allLines += hitLines.size + missedLines;
      return [
        name,
        {
          covered: hit.length > 0 ? (hit as unknown as Document) : undefined,
          not_covered: missed.length > 0 ? (missed as unknown as Document) : undefined,
          covered_lines: hitLines.size > 0 ? hitLines.size : undefined,
          not_covered_lines: missedLines > 0 ? missedLines : undefined,
          coverage: percentage(hitLines.size, hitLines.size + missedLines),
        },
      ] as const;
    });
  return {
    files: Object.fromEntries(reports),
    covered_lines: coveredLines,
    not_covered_lines: allLines - coveredLines,
    coverage: percentage(coveredLines, allLines),
  };
}

/** Percent, to two places. */
function percentage(part: number, all: number): number {
  return all === 0 ? 0 : Math.round((part / all) * 10_000) / 100;
}

function linesOf(ranges: readonly Range[]): Set<number> {
  const rows = new Set<number>();
  for (const { start, end } of ranges) for (let row = start.row; row <= end.row; row++) rows.add(row);
  return rows;
}

function inOrder(ranges: Iterable<Range>): Range[] {
  return [...ranges].sort(
    (a, b) => a.start.row - b.start.row || a.start.col - b.start.col || a.end.row - b.end.row || a.end.col - b.end.col,
  );
}

/** Heads of rules and expressions, also those of closures; declarations evaluate nothing. */
function* placesOf(module: Module): Generator<Location> {
  const found: Location[] = [];
  const visitor = {
    expr: (expr: Expr) => {
      if (expr.form.kind !== "some" && !expr.generated) found.push(expr.at);
      return true;
    },
  };
  for (const rule of module.rules) {
    for (let branch: Rule | undefined = rule; branch !== undefined; branch = branch.else) {
      found.push(branch.head.at);
      if (branch.head.value !== undefined) visit(branch.head.value, visitor);
      if (!branch.generatedBody) visit(branch.body, visitor);
    }
  }
  yield* found;
}
