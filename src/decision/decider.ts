import { randomUUID } from "node:crypto";
import { whenKnown } from "../base/index.ts";
import type { DecisionRecorder } from "../decision-log/index.ts";
import {
  type Authentication,
  type Authenticator,
  type HeaderChanges,
  identityDocument,
  identityFromEnvoy,
  tokenErrorDocument,
  type TokenRule,
} from "../identity/index.ts";
import { DECISION_PATH, type IstioDecision, toIstioDecision } from "../istio/index.ts";
import {
  type Entrypoint,
  lookingAhead,
  type PolicyStore,
  schedulesFoundClosed,
  type Snapshot,
  valueAt,
} from "../policy/index.ts";
import {
  CompileError,
  EvalError,
  type EvaluateOptions,
  evaluateWithIo,
  formatDiagnostic,
  type IoAnswer,
  type IoRequest,
  type Query,
  type Solution,
  Suspension,
} from "../rego/engine/index.ts";
import { getKey, isObject, type JsonObject, toJsonText, type Value } from "../rego/value/index.ts";
import { type Logger, redactCredentials, type Span } from "../telemetry/index.ts";
import type { Outcome } from "./outcome.ts";
import { envoyMetadataOf, type Subject, tokenRequestOf } from "./subject.ts";
import { withinDeadline } from "./within-deadline.ts";

/** The caller's side of a request. */
export interface Call {
  /** Wall-clock milliseconds after which nobody waits for the answer; Infinity for none. */
  readonly deadlineMs: number;
  isCancelled(): boolean;
  /** Absent when nothing is traced. */
  readonly span?: Span;
}

/** Reaches out for policies, as part of the trace of the request they decide. */
export type TracedIo = (request: IoRequest, span?: Span) => Promise<IoAnswer>;

export interface Limits {
  /** Milliseconds one evaluation may take. */
  readonly evaluationMs: number;
  /** Steps of generated code one evaluation may take. */
  readonly evaluationSteps: number;
}

export interface DeciderOptions {
  readonly store: PolicyStore;
  readonly recorder: DecisionRecorder;
  readonly entrypoint: Entrypoint;
  /** As configured, for the log: the path, or else the query. */
  readonly path: string;
  readonly query: string;
  readonly limits: Limits;
  readonly runtime: Value;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly io: TracedIo;
  readonly logger: Logger;
  /** Logs results of nondeterministic builtins: `nd_builtin_cache`. */
  readonly keepsNdResults: boolean;
  /** Takes "now" from `input.attributes.request.time` instead of the clock: exact replay and tests. */
  readonly timeFromRequest: boolean;
  /** Absent where nobody looks at tokens. */
  readonly identity?: IdentityOptions;
  /** Headers for clients who are over a limit, of what one evaluation left in its memo. */
  readonly exhaustedLimits?: (memo: ReadonlyMap<string, Value>) => readonly Readonly<Record<string, string>>[];
  /** Whether policies are still to come: until then the entrypoint is asked, whatever declarative policies say. */
  readonly isIncomplete?: () => boolean;
}

export interface IdentityOptions {
  readonly authenticator: Authenticator;
  /** Take the claims Envoy's jwt_authn filter verified. */
  readonly trustsEnvoy: boolean;
  /** For requests to every destination. */
  readonly rules: readonly TokenRule[];
}

/** Who had the last word about a request, and what the others said. */
export interface Account {
  readonly layer: "identity" | "mesh" | "rego";
  /** Absent where declarative policies were not asked. */
  readonly mesh: IstioDecision | undefined;
}

/** A decision for the log. */
export interface RecordedDecision {
  readonly input: Value;
  /** Absent when there was no decision. */
  readonly result: Value | undefined;
  readonly error: JsonObject | undefined;
  /** How the phases came to it. */
  readonly account: JsonObject | undefined;
}

/** What became of a request. */
export interface Ruled {
  readonly outcome: Outcome;
  /** As policies saw it, with the identity its token proved. */
  readonly input: JsonObject;
  /** What happens to its headers if it goes on, whoever decides. */
  readonly headers: HeaderChanges;
  /** Undefined where no declarative policies are loaded. */
  readonly account: Account | undefined;
  /** For clients who are over a limit: one set of headers for each. */
  readonly exhausted: readonly Readonly<Record<string, string>>[];
  /** Of a denial: when the same request would be let in, as a schedule opens then. */
  readonly opening: Opening | undefined;
}

/** What must agree to let a request in, each with the input it is asked about. */
type Asked = readonly (readonly [Entrypoint, JsonObject])[];

export interface Opening {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly afterMs: number;
}

const NO_CHANGES: HeaderChanges = { set: {}, remove: [] };
const MESH: Entrypoint = { kind: "path", path: DECISION_PATH as readonly string[] };

/** Opens rulings: one per request, all on the snapshot that is live when they open. */
export class Decider {
  readonly #options: DeciderOptions;

  constructor(options: DeciderOptions) {
    this.#options = options;
    const { store, entrypoint } = options;
    store.expect(entrypoint);
    // Policy documents may come with a later snapshot.
    store.expect(MESH);
  }

  open(call: Call): Ruling {
    return new Ruling(this.#options, call);
  }

  /** Compiles and runs the entrypoint once, so that the first request after a reload does not pay for it. */
  warm(snapshot: Snapshot): void {
    const { entrypoint, limits, runtime, env } = this.#options;
    for (const asked of snapshot.declared === undefined ? [entrypoint] : [MESH, entrypoint]) {
      try {
        snapshot.prepare(asked).evaluate({
          input: {},
          runtime,
          env,
          deadlineMs: Date.now() + limits.evaluationMs,
          maxSteps: limits.evaluationSteps,
        });
      } catch {
        // Requests will meet the same fault, with an input to blame.
      }
    }
  }
}

/** One request from its arrival to its record. It holds its snapshot throughout, so the record names what decided. */
export class Ruling {
  readonly decisionId = randomUUID();
  readonly snapshot: Snapshot;
  readonly #options: DeciderOptions;
  readonly #call: Call;
  readonly #startedMs = performance.now();
  #compileNs: number | undefined;
  #evaluationNs: number | undefined;
  readonly #nondeterministic: Map<string, (readonly [readonly Value[], Value])[]> | undefined;

  constructor(options: DeciderOptions, call: Call) {
    this.#options = options;
    this.#call = call;
    this.snapshot = options.store.current;
    this.#nondeterministic = options.keepsNdResults ? new Map() : undefined;
  }

  /**
   * The phases: token, declarative policies, Rego. Each may end it; a request must pass all that are there. Never rejects
   * for what a policy does: what goes wrong is an outcome. At once where only Rego is asked, and asks nobody else.
   */
  rule(subject: Subject): Ruled | Promise<Ruled> {
    const { identity, entrypoint } = this.#options;
    const { input } = subject;
    const gone = this.#callOutcome();
    if (gone !== undefined) return { ...NOBODY, outcome: gone, input };
    const hasTokens = identity !== undefined && (identity.trustsEnvoy || identity.rules.length > 0);
    if (this.snapshot.declared !== undefined || hasTokens) return this.#rulePhases(subject);
    const memo = new Map<string, Value>();
    return whenKnown(this.#evaluate(entrypoint, input, memo), (outcome) => {
      const { exhausted, opening } = this.#advice(outcome, memo, [[entrypoint, input]]);
      return { outcome, input, headers: NO_CHANGES, account: undefined, exhausted, opening };
    });
  }

  async #rulePhases(subject: Subject): Promise<Ruled> {
    const { identity } = this.#options;
    const { input } = subject;
    const answer = identity === undefined ? ANONYMOUS : this.#authenticate(subject, identity);
    const authentication = answer instanceof Promise ? await answer : answer;
    const { headers } = authentication;
    const isReported = identity?.authenticator.reportsBadTokens === true;
    if (authentication.kind === "refused" && !isReported) {
      const account: Account = { layer: "identity", mesh: undefined };
      return { ...NOBODY, outcome: authentication, input, headers, account };
    }
    const decided = await this.#decide(identified(subject, authentication));
    const isDenied = decided.outcome.kind === "mesh" && !decided.outcome.decision.allowed;
    // ANONYMOUS itself stands for requests of which nobody wanted a token.
    const isWithoutToken = authentication.kind === "anonymous" && authentication !== ANONYMOUS;
    const refusal =
      authentication.kind === "refused"
        ? authentication
        : isWithoutToken
          ? identity?.authenticator.missingToken
          : undefined;
    const outcome = (isDenied ? refusal : undefined) ?? decided.outcome;
    const { account, exhausted } = decided;
    const opening = outcome === decided.outcome ? decided.opening : undefined;
    return { outcome, input: decided.input, headers, account, exhausted, opening };
  }

  async #decide({ input, attributes }: Subject): Promise<Omit<Ruled, "headers">> {
    const { declared } = this.snapshot;
    const asked: Asked[number][] = [];
    // Shared, so that both layers count a request against a limit only once.
    const memo = new Map<string, Value>();
    let mesh: IstioDecision | undefined;
    if (declared?.decides === true) {
      const meshInput = attributes === input["attributes"] ? input : { ...input, attributes: attributes ?? {} };
      const outcome = await this.#evaluate(MESH, meshInput, memo);
      asked.push([MESH, meshInput]);
      mesh = outcome.kind === "value" ? toIstioDecision(outcome.value) : undefined;
      if (mesh === undefined) {
        const fault = outcome.kind === "value" ? failure(new Error("malformed decision document")) : outcome;
        return { ...NOBODY, outcome: fault, input, account: { layer: "mesh", mesh } };
      }
      const asksRego = this.#asksRego();
      if (asksRego) asked.push([this.#options.entrypoint, input]);
      if (!mesh.allowed || !asksRego) {
        const decided: Outcome = { kind: "mesh", decision: mesh };
        const { exhausted, opening } = this.#advice(decided, memo, asked);
        return { outcome: decided, input, account: { layer: "mesh", mesh }, exhausted, opening };
      }
    } else asked.push([this.#options.entrypoint, input]);
    const outcome = await this.#evaluate(this.#options.entrypoint, input, memo);
    const account: Account | undefined = declared === undefined ? undefined : { layer: "rego", mesh };
    const { exhausted, opening } = this.#advice(outcome, memo, asked);
    return { outcome, input, account, exhausted, opening };
  }

  /** When to come back: a limit says so itself, and only where none does a schedule is asked. */
  #advice(outcome: Outcome, memo: ReadonlyMap<string, Value>, asked: Asked): Pick<Ruled, "exhausted" | "opening"> {
    const exhausted = memo.size === 0 ? [] : (this.#options.exhaustedLimits?.(memo) ?? []);
    return { exhausted, opening: exhausted.length > 0 ? undefined : this.#opening(outcome, memo, asked) };
  }

  /**
   * When a denied request would be let in. Some schedules are closed; whether nothing else is against the request shows when
   * the same is asked, of all that must agree, for a time at which one opens. The denial stands, and waits for this: it gets
   * little time, and none where the caller has none.
   */
  #opening(outcome: Outcome, memo: ReadonlyMap<string, Value>, asked: Asked): Opening | undefined {
    const { declared } = this.snapshot;
    if (declared === undefined || letsIn(outcome) !== false) return undefined;
    const [[, input]] = asked as readonly [Asked[number]];
    const nowMs = Date.now();
    const untilMs = nowMs + Math.min(OPENING_MS, (this.#call.deadlineMs - nowMs) / 4);
    try {
      const nowNs = this.#nowNs(input);
      const openings = new Set(declared.openings(input, nowNs, schedulesFoundClosed(memo)));
      if (openings.size === 0) return undefined;
      const soonest = [...openings].sort((a, b) => (a < b ? -1 : 1)).slice(0, MAX_OPENINGS);
      const ahead = lookingAhead(memo);
      const opensNs = soonest.find((ns) =>
        asked.every(([what, about]) => this.#letsInAt(ns, what, about, { memo: new Map(ahead), untilMs })),
      );
      if (opensNs === undefined) return undefined;
      const atMs = Number(opensNs / NS_PER_MS);
      return { atMs, afterMs: atMs - Number(nowNs / NS_PER_MS) };
    } catch {
      // Whoever would be let in later is denied all the same.
      return undefined;
    }
  }

  /** Nothing of it is recorded. @throws what an evaluation does, and where it cannot be known at once */
  #letsInAt(
    nowNs: bigint,
    entrypoint: Entrypoint,
    input: JsonObject,
    { memo, untilMs }: { readonly memo: Map<string, Value>; readonly untilMs: number },
  ): boolean {
    if (Date.now() >= untilMs || this.#call.isCancelled()) return false;
    const value = this.#prepare(entrypoint).value({
      ...this.#evaluateOptions(input, memo),
      nowNs,
      deadlineMs: untilMs,
      print: () => undefined,
      nondeterministic: undefined,
    });
    if (value === undefined) return false;
    return entrypoint === MESH ? toIstioDecision(value)?.allowed === true : letsIn({ kind: "value", value }) === true;
  }

  /** Where only declarative policies are loaded, they decide alone. */
  #asksRego(): boolean {
    const { entrypoint, isIncomplete } = this.#options;
    if (this.snapshot.hasDecidingModules || isIncomplete?.() === true) return true;
    return entrypoint.kind === "path" && valueAt(this.snapshot.data, entrypoint.path.map(String)) !== undefined;
  }

  #authenticate(
    { input, attributes }: Subject,
    { authenticator, trustsEnvoy, rules: everywhere }: IdentityOptions,
  ): Authentication | Promise<Authentication> {
    const verified = trustsEnvoy ? identityFromEnvoy(envoyMetadataOf(attributes)) : undefined;
    if (verified !== undefined) return { kind: "authenticated", identity: verified, headers: NO_CHANGES };
    const here = this.snapshot.declared?.tokenRules(attributes === undefined ? {} : { attributes }) ?? [];
    const rules = everywhere.length === 0 ? here : [...here, ...everywhere];
    const request = rules.length === 0 ? undefined : tokenRequestOf(attributes);
    if (request === undefined) return ANONYMOUS;
    const nowNs = this.#options.timeFromRequest ? requestTimeNs(input) : undefined;
    return authenticator.authenticate(rules, request, {
      ...(nowNs !== undefined && { nowMs: Number(nowNs / 1_000_000n) }),
      waitMs: Math.max(0, this.#call.deadlineMs - Date.now()),
    });
  }

  /** At once, unless the policy asks for I/O. */
  #evaluate(entrypoint: Entrypoint, input: JsonObject, memo: Map<string, Value>): Outcome | Promise<Outcome> {
    let startedMs = 0;
    try {
      const query = this.#prepare(entrypoint);
      startedMs = performance.now();
      const solutions = this.#evaluateNow(query, input, memo);
      if (solutions instanceof Promise)
        return solutions.then(
          (answered) => this.#evaluated(startedMs, answered),
          (cause: unknown) => this.#evaluated(startedMs, cause),
        );
      return this.#evaluated(startedMs, solutions);
    } catch (cause) {
      return startedMs === 0 ? failure(cause) : this.#evaluated(startedMs, cause);
    }
  }

  /** @param ended  The solutions, or what was thrown instead. */
  #evaluated(startedMs: number, ended: unknown): Outcome {
    this.#evaluationNs = (this.#evaluationNs ?? 0) + Math.round((performance.now() - startedMs) * 1e6);
    if (!Array.isArray(ended)) return failure(ended);
    const solutions = ended as readonly Solution[];
    if (solutions.length === 0) return { kind: "undefined" };
    if (solutions.length > 1) return { kind: "ambiguous" };
    const [first] = (solutions[0] as Solution).expressions;
    if (first === undefined) return { kind: "undefined" };
    // A verdict that comes too late is none: whoever asked has acted without it.
    return this.#callOutcome() ?? { kind: "value", value: first.value };
  }

  /**
   * Writes the decision to the log, even when the caller is gone by now.
   *
   * @throws when the log cannot take it; the request must then be denied.
   */
  record(entry: RecordedDecision): void {
    const { recorder, path, query } = this.#options;
    if (!recorder.isActive) return;
    recorder.record({
      decisionId: this.decisionId,
      path: query === "" ? path : undefined,
      query: query === "" ? undefined : query,
      input: entry.input,
      result: entry.result,
      error: entry.error,
      account: entry.account,
      bundles: this.snapshot.bundles,
      metrics: this.#metrics(),
      timestampMs: Date.now(),
      traceId: this.#call.span?.traceId,
      spanId: this.#call.span?.spanId,
      ndBuiltinCache:
        this.#nondeterministic !== undefined && entry.error === undefined && this.#nondeterministic.size > 0
          ? ndDocument(this.#nondeterministic)
          : undefined,
    });
  }

  /** Since the request arrived. */
  elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** OPA's names. */
  #metrics(): Readonly<Record<string, number>> {
    const metrics: Record<string, number> = {};
    if (this.#compileNs !== undefined) metrics["timer_rego_query_compile_ns"] = this.#compileNs;
    if (this.#evaluationNs !== undefined) metrics["timer_rego_query_eval_ns"] = this.#evaluationNs;
    metrics["timer_server_handler_ns"] = Math.round(this.elapsedMs() * 1e6);
    return metrics;
  }

  #callOutcome(): Outcome | undefined {
    const { deadlineMs } = this.#call;
    if (deadlineMs !== Number.POSITIVE_INFINITY && Date.now() >= deadlineMs) return { kind: "timeout" };
    return this.#call.isCancelled() ? { kind: "cancelled" } : undefined;
  }

  #prepare(entrypoint: Entrypoint): Query {
    const query = this.snapshot.prepare(entrypoint);
    const compileNs = this.snapshot.takeCompileNs(entrypoint);
    if (compileNs !== undefined && entrypoint !== MESH) this.#compileNs = compileNs;
    return query;
  }

  /** Synchronous unless the policy asks for I/O. */
  #evaluateNow(
    query: Query,
    input: JsonObject,
    memo: Map<string, Value>,
  ): readonly Solution[] | Promise<readonly Solution[]> {
    const options = this.#evaluateOptions(input, memo);
    try {
      return query.evaluate(options);
    } catch (cause) {
      if (!(cause instanceof Suspension)) throw cause;
      const { io } = this.#options;
      return evaluateWithIo(query, options, (request) =>
        withinDeadline(options.deadlineMs, io(request, this.#call.span)),
      );
    }
  }

  /** The time of the decision. */
  #nowNs(input: JsonObject): bigint {
    return (this.#options.timeFromRequest ? requestTimeNs(input) : undefined) ?? BigInt(Date.now()) * NS_PER_MS;
  }

  #evaluateOptions(input: JsonObject, memo: Map<string, Value>): EvaluateOptions & { readonly deadlineMs: number } {
    const { limits, runtime, env, logger } = this.#options;
    const nowMs = Date.now();
    return {
      input,
      runtime,
      env,
      memo,
      nowNs: this.#nowNs(input),
      deadlineMs: Math.min(this.#call.deadlineMs, nowMs + limits.evaluationMs),
      maxSteps: limits.evaluationSteps,
      print: (line, at) =>
        logger.info(redactCredentials(at === undefined ? line : `${at.source.name}:${at.row}: ${line}`), {
          "decision-id": this.decisionId,
        }),
      nondeterministic: this.#nondeterministic,
    };
  }
}

const NS_PER_MS = 1_000_000n;
/** Openings that a denied request is tried for: each costs what deciding it did. */
const MAX_OPENINGS = 3;
/** For all of them together. */
const OPENING_MS = 25;
const NOBODY = { headers: NO_CHANGES, account: undefined, exhausted: [], opening: undefined } as const;
const ANONYMOUS: Authentication = { kind: "anonymous", headers: NO_CHANGES };

/** Whether an outcome allows or denies; undefined for what is neither. */
function letsIn(outcome: Outcome): boolean | undefined {
  if (outcome.kind === "mesh") return outcome.decision.allowed;
  if (outcome.kind !== "value") return undefined;
  const { value } = outcome;
  const verdict = isObject(value) ? getKey(value, "allowed") : value;
  return typeof verdict === "boolean" ? verdict : undefined;
}

function identified(subject: Subject, authentication: Authentication): Subject {
  switch (authentication.kind) {
    case "anonymous":
      return subject;
    case "refused":
      return beside(subject, { tokenError: tokenErrorDocument(authentication) as JsonObject });
    case "authenticated":
      return beside(subject, { identity: identityDocument(authentication.identity) as JsonObject });
  }
}

/** What is known of the token stands beside what the plugin shows, in a place of its own. */
function beside({ input, attributes }: Subject, cardea: JsonObject): Subject {
  return { input: { ...input, cardea }, attributes };
}

function failure(cause: unknown): Outcome {
  if (cause instanceof EvalError) {
    const { code, message, location } = cause;
    const place =
      location === undefined ? undefined : { file: location.source.name, row: location.row, col: location.col };
    return { kind: "failed", code, message, text: cause.toString(), place };
  }
  if (cause instanceof CompileError) {
    const [first] = cause.diagnostics;
    return {
      kind: "failed",
      code: "compile_error",
      message: cause.message,
      text: first === undefined ? cause.message : formatDiagnostic(first),
      place: undefined,
    };
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  return {
    kind: "failed",
    code: "eval_internal_error",
    message,
    text: `eval_internal_error: ${message}`,
    place: undefined,
  };
}

/** `{name: {operands: result}}`, the operands as JSON text of their list: OPA's form. */
function ndDocument(results: ReadonlyMap<string, readonly (readonly [readonly Value[], Value])[]>): JsonObject {
  const document: Record<string, Value> = {};
  for (const [name, calls] of results)
    document[name] = Object.fromEntries(calls.map(([operands, result]) => [toJsonText(operands), result]));
  return document;
}

function requestTimeNs(input: JsonObject): bigint | undefined {
  const time = (input as { attributes?: { request?: { time?: { seconds?: unknown; nanos?: unknown } } } }).attributes
    ?.request?.time;
  if (time === undefined) return undefined;
  const seconds = typeof time.seconds === "number" || typeof time.seconds === "bigint" ? BigInt(time.seconds) : 0n;
  return seconds * 1_000_000_000n + BigInt(typeof time.nanos === "number" ? time.nanos : 0);
}
