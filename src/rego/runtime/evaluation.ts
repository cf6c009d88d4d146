import type { Location } from "../../base/index.ts";
import { type JsonObject, parseNumber, type Value } from "../value/index.ts";
import type { BuiltinContext, IoAnswer, IoRequest } from "./context.ts";
import { Suspension } from "./context.ts";
import { BuiltinError, EvalError } from "./errors.ts";

/** A path below `data`. */
export type DataPath = readonly Value[];

/** What a `with` puts in a function's place: another function, or a value every call returns. */
export type Mock =
  | { readonly kind: "value"; readonly value: Value }
  | {
      readonly kind: "function";
      readonly call: (evaluation: Evaluation, ...args: readonly Value[]) => Value | undefined;
    };

/** How often the loops of generated code look at the clock, in steps. */
const STEPS_BETWEEN_CLOCK_READS = 20_000;

export interface SessionOptions {
  readonly nowNs: bigint;
  /** Wall-clock time (milliseconds since the epoch) after which evaluation is cancelled. */
  readonly deadlineMs: number;
  /** Steps (loop turns and charges of builtins) after which evaluation is cancelled. */
  readonly maxSteps: number;
  readonly strictBuiltinErrors: boolean;
  readonly random: (bytes: Uint8Array) => void;
  readonly runtime: Value;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly answers: ReadonlyMap<string, IoAnswer>;
  readonly memo: Map<string, Value>;
  readonly print: ((line: string, at: Location | undefined) => void) | undefined;
  readonly note: ((message: string) => void) | undefined;
  /** Results of nondeterministic builtins, by name, for decision logs; undefined when nobody asks. */
  readonly nondeterministic: Map<string, (readonly [readonly Value[], Value])[]> | undefined;
  /** Receives what the traced build reports. */
  readonly tracer: Tracer | undefined;
}

/** What the traced build of a program reports while it runs. */
export interface Tracer {
  /** An expression, or the head of a rule, is about to be evaluated, or has just succeeded. */
  event(kind: "enter" | "eval" | "exit" | "fail", at: Location, locals: () => ReadonlyMap<string, Value>): void;
}

/** The part of an evaluation that all its `with` frames share. */
export class Session {
  /** Steps left until the next look at clock and budget. Counted down inline by generated code. */
  steps = STEPS_BETWEEN_CLOCK_READS;
  readonly options: SessionOptions;
  /** Builtin errors that made calls undefined, at most a few. */
  readonly builtinErrors: EvalError[] = [];
  /** Where the builtin being called stands; set before builtins that print. */
  location: Location | undefined;
  #spent = 0;

  constructor(options: SessionOptions) {
    this.options = options;
    this.steps = Math.min(STEPS_BETWEEN_CLOCK_READS, options.maxSteps);
  }

  /** Called when `steps` has run out. @throws {EvalError} eval_cancel_error past budget or deadline. */
  tick(): void {
    this.#spent += STEPS_BETWEEN_CLOCK_READS - Math.max(this.steps, 0);
    if (this.steps < 0) this.#spent += -this.steps;
    if (this.#spent > this.options.maxSteps)
      throw new EvalError("eval_cancel_error", `evaluation exceeded its budget of ${this.options.maxSteps} steps`);
    if (Date.now() >= this.options.deadlineMs)
      throw new EvalError("eval_cancel_error", "caller cancelled query execution");
    this.steps = STEPS_BETWEEN_CLOCK_READS;
  }
}

/** Stands in memo slots for "evaluated, and undefined". */
export const NONE: unique symbol = Symbol("undefined document");
export type Memo = unknown;

/**
 * One frame of an evaluation: what `input` and `data` are, which functions are replaced, and what has been computed
 * under these conditions. A `with` makes a new frame.
 */
export class Evaluation implements BuiltinContext {
  readonly session: Session;
  readonly input: Value | undefined;
  /** Base documents. */
  readonly data: Value;
  /** Memoised documents by slot; `NONE` for undefined. */
  readonly slots: Memo[] = [];
  #keyed: Map<number, Map<string, unknown>> | undefined;
  /** Replaced parts of `data`: virtual documents at or below these paths are not seen. */
  readonly hidden: readonly DataPath[] | null;
  readonly mocks: ReadonlyMap<string, Mock> | null;

  constructor(
    session: Session,
    input: Value | undefined,
    data: Value,
    hidden: readonly DataPath[] | null = null,
    mocks: ReadonlyMap<string, Mock> | null = null,
  ) {
    this.session = session;
    this.input = input;
    this.data = data;
    this.hidden = hidden;
    this.mocks = mocks;
  }

  /** Entries of partial documents computed one by one, by group. */
  get keyed(): Map<number, Map<string, unknown>> {
    this.#keyed ??= new Map();
    return this.#keyed;
  }

  get nowNs(): bigint {
    return this.session.options.nowNs;
  }
  get random(): (bytes: Uint8Array) => void {
    return this.session.options.random;
  }
  get memo(): Map<string, Value> {
    return this.session.options.memo;
  }
  get runtime(): Value {
    return this.session.options.runtime;
  }
  get env(): Readonly<Record<string, string | undefined>> {
    return this.session.options.env;
  }

  spend(steps: number): void {
    this.session.steps -= steps;
    if (this.session.steps < 0) this.session.tick();
  }

  io(key: string, request: IoRequest): Value {
    const answer = this.session.options.answers.get(key);
    if (answer === undefined) throw new Suspension(key, request);
    if ("error" in answer) throw new BuiltinError(answer.error);
    return answer.value;
  }

  note(message: string): void {
    this.session.options.note?.(message);
  }

  print(line: string): void {
    this.session.options.print?.(line, this.session.location);
  }

  /** A frame in which nothing is replaced: a mock may call what it stands for (OPA v1/topdown/eval.go, functionMocks.Push). */
  unmocked(): Evaluation {
    return new Evaluation(this.session, this.input, this.data, this.hidden, null);
  }

  /** The time of the query as the number `time.now_ns()` returns. */
  get nowNumber(): Value {
    return parseNumber(this.nowNs.toString());
  }
}

export const EMPTY_DATA: JsonObject = Object.freeze({});
