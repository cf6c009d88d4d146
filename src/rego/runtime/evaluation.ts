import type { Location } from "../../base/index.ts";
import type { JsonObject, Value } from "../value/index.ts";
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

/** What an evaluation may be given; every part has a default. */
export interface SessionOptions {
  /** What `time.now_ns()` says. Default: now. */
  readonly nowNs?: bigint;
  /** Wall-clock time (milliseconds since the epoch) after which evaluation is cancelled. Default: none. */
  readonly deadlineMs?: number;
  /** Steps (loop turns, calls and charges of builtins) after which evaluation is cancelled. Default 50,000,000. */
  readonly maxSteps?: number;
  /** Builtin errors end the evaluation instead of making calls undefined. */
  readonly strictBuiltinErrors?: boolean;
  readonly random?: (bytes: Uint8Array) => void;
  /** What `opa.runtime()` shows. */
  readonly runtime?: Value;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Answers to suspensions so far, by their key. */
  readonly answers?: ReadonlyMap<string, IoAnswer>;
  /** Results that must not change within one decision, even over suspensions. */
  readonly memo?: Map<string, Value>;
  readonly print?: (line: string, at: Location | undefined) => void;
  readonly note?: (message: string) => void;
  /** Collects results of nondeterministic builtins, by name, for decision logs. */
  readonly nondeterministic?: Map<string, (readonly [readonly Value[], Value])[]> | undefined;
  /** Receives what the traced build reports. */
  readonly tracer?: Tracer;
}

/** What the traced build of a program reports while it runs. */
export interface Tracer {
  /** An expression, or the head of a rule, is about to be evaluated, or has just succeeded. */
  event(kind: "enter" | "eval" | "exit" | "leave", at: Location, locals: () => ReadonlyMap<string, Value>): void;
}

const DEFAULT_MAX_STEPS = 50_000_000;
const NO_ENVIRONMENT: Readonly<Record<string, string | undefined>> = Object.freeze({});

/** The part of an evaluation that all its `with` frames share. */
export class Session {
  /** Steps left until the next look at clock and budget. Counted down inline by generated code. */
  steps: number;
  readonly options: SessionOptions;
  /** Builtin errors that made calls undefined, at most a few. */
  builtinErrors: EvalError[] | undefined;
  /** Where the builtin being called stands; set before builtins that print. */
  location: Location | undefined;
  readonly #maxSteps: number;
  #spent = 0;
  #granted: number;
  #nowNs: bigint | undefined;
  #memo: Map<string, Value> | undefined;

  constructor(options: SessionOptions) {
    this.options = options;
    this.#maxSteps = options.maxSteps ?? DEFAULT_MAX_STEPS;
    this.#granted = Math.min(STEPS_BETWEEN_CLOCK_READS, this.#maxSteps);
    this.steps = this.#granted;
    this.#nowNs = options.nowNs;
    this.#memo = options.memo;
  }

  get nowNs(): bigint {
    this.#nowNs ??= BigInt(Date.now()) * 1_000_000n;
    return this.#nowNs;
  }

  get memo(): Map<string, Value> {
    this.#memo ??= new Map();
    return this.#memo;
  }

  /** Called when `steps` has run out. @throws {EvalError} eval_cancel_error past budget or deadline. */
  tick(): void {
    this.#spent += this.#granted - this.steps;
    if (this.#spent > this.#maxSteps) {
      throw new EvalError("eval_cancel_error", `evaluation exceeded its budget of ${this.#maxSteps} steps`);
    }
    if (this.options.deadlineMs !== undefined && Date.now() >= this.options.deadlineMs) {
      throw new EvalError("eval_cancel_error", "caller cancelled query execution");
    }
    this.#granted = Math.min(STEPS_BETWEEN_CLOCK_READS, this.#maxSteps - this.#spent);
    this.steps = this.#granted;
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
    return this.session.nowNs;
  }
  get random(): (bytes: Uint8Array) => void {
    return this.session.options.random ?? fillRandom;
  }
  get memo(): Map<string, Value> {
    return this.session.memo;
  }
  get runtime(): Value {
    return this.session.options.runtime ?? EMPTY_DATA;
  }
  get env(): Readonly<Record<string, string | undefined>> {
    return this.session.options.env ?? NO_ENVIRONMENT;
  }

  spend(steps: number): void {
    this.session.steps -= steps;
    if (this.session.steps < 0) this.session.tick();
  }

  io(key: string, request: IoRequest): Value {
    const answer = this.session.options.answers?.get(key);
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
}

function fillRandom(bytes: Uint8Array): void {
  globalThis.crypto.getRandomValues(bytes);
}

const EMPTY_DATA: JsonObject = Object.freeze({});
