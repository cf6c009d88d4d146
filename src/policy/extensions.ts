import { Limiter, type LimiterVerdict, MemoryStore, type RateLimit, rateLimitHeaders } from "../ratelimit/index.ts";
import {
  arg,
  type Builtin,
  BuiltinError,
  defineBuiltin,
  type IoAnswer,
  operands,
  result,
  types,
} from "../rego/engine/index.ts";
import { fromBigInt, type JsonObject, toJsonText, type Value } from "../rego/value/index.ts";
import { compileSchedule, isOpen, nextOpening, type Schedule } from "../schedule/index.ts";
import { type Definitions, definitionsOf } from "./lowered.ts";

/** What a snapshot's policies may name. */
export interface Extensions {
  readonly schedules: ReadonlyMap<string, Schedule>;
  readonly limits: ReadonlyMap<string, RateLimit>;
}

/** What policy documents define; nothing where there are none. */
export function extensionsOf(definitions: Definitions | undefined): Extensions {
  const { schedules = [], rateLimits = [] } = definitions ?? {};
  return {
    schedules: new Map(schedules.map((schedule) => [schedule.name, compileSchedule(schedule)])),
    limits: new Map(rateLimits.map((limit) => [limit.name, limit])),
  };
}

/** The same builtins for a command, with counters that end with it. */
export function commandBuiltins(program: Parameters<typeof definitionsOf>[0] | undefined): readonly Builtin[] {
  return extensionBuiltins(extensionsOf(program && definitionsOf(program)), new Limiter(new MemoryStore()));
}

const TAKE = "cardea.ratelimit.take";
const OPEN = "cardea.schedule.open";
/** In what an evaluation remembers: before the name of a schedule it found closed. */
const CLOSED = `${OPEN}\0`;
/** In what an evaluation remembers: it only looks ahead, so nothing is counted. */
const AHEAD = "cardea\0ahead";
const category = "cardea";
const name = arg("name", operands.string, "its name");
const key = arg("key", operands.any, "whom to count: a string, or any value by its JSON text");

/** The builtins of our own over a snapshot's schedules and limits. Counters outlive snapshots. */
export function extensionBuiltins({ schedules, limits }: Extensions, limiter: Limiter): readonly Builtin[] {
  function scheduleOf(wanted: string): Schedule {
    const schedule = schedules.get(wanted);
    if (schedule === undefined) throw new BuiltinError(`there is no schedule ${JSON.stringify(wanted)}`);
    return schedule;
  }

  /** Counts once per evaluation, however often a policy asks and however often it is run again. */
  function take(context: Parameters<Builtin["call"]>[0], wanted: string, counted: Value): JsonObject {
    const limit = limits.get(wanted);
    if (limit === undefined) throw new BuiltinError(`there is no rate limit ${JSON.stringify(wanted)}`);
    const text = typeof counted === "string" ? counted : toJsonText(counted);
    const memoKey = `${TAKE}\0${wanted}\0${text}`;
    const known = context.memo.get(memoKey);
    if (known !== undefined) return known as JsonObject;
    if (context.memo.has(AHEAD)) return toValue(limit, notCounted(limit));
    if (!limiter.answersAtOnce) {
      const operand = { limit: { ...limit }, key: text };
      const verdict = context.io(memoKey, { kind: "host", name: TAKE, operand }) as JsonObject;
      context.memo.set(memoKey, verdict);
      return verdict;
    }
    const verdict = toValue(limit, limiter.take(limit, text) as LimiterVerdict);
    context.memo.set(memoKey, verdict);
    return verdict;
  }

  return [
    defineBuiltin({
      name: OPEN,
      category,
      about: "Tells whether a schedule is open at the time of the query.",
      nondeterministic: true,
      args: [name],
      result: result("result", types.boolean, "whether it is open"),
      call: (context, wanted) => {
        const isOpenNow = isOpen(scheduleOf(wanted), context.nowNs);
        if (!isOpenNow) context.memo.set(`${CLOSED}${wanted}`, true);
        return isOpenNow;
      },
    }),
    defineBuiltin({
      name: "cardea.schedule.next_opening",
      category,
      about: "The first instant from the time of the query on at which a schedule is open.",
      nondeterministic: true,
      args: [name],
      result: result("ns", types.number, "nanoseconds since the epoch; undefined where it never opens again"),
      call: (context, wanted) => {
        const ns = nextOpening(scheduleOf(wanted), context.nowNs);
        return ns === undefined ? undefined : fromBigInt(ns);
      },
    }),
    defineBuiltin({
      name: "cardea.ratelimit.allow",
      category,
      about: "Counts an attempt against a rate limit: once per query and key, however often it is asked.",
      nondeterministic: true,
      args: [name, key],
      result: result("result", types.boolean, "whether it is within the limit"),
      call: (context, wanted, counted) => take(context, wanted, counted)["allowed"],
    }),
    defineBuiltin({
      name: TAKE,
      category,
      about: "Counts an attempt as `cardea.ratelimit.allow` does, and tells what is left.",
      nondeterministic: true,
      args: [name, key],
      result: result(
        "verdict",
        types.object(types.string, types.any),
        "`allowed`, `limit`, `remaining`, `reset_ms`, `retry_after_ms`, `counted` (false where the store failed), and `headers` to send to the client",
      ),
      call: take,
    }),
  ];
}

/** Limits are asked last: whoever looks ahead finds them as they were, or not asked, which is as good as within them. */
function notCounted({ limit }: RateLimit): LimiterVerdict {
  return { allowed: true, limit, remaining: limit, resetMs: 0, retryAfterMs: 0, failure: undefined };
}

/** Names of the schedules that an evaluation found closed. */
export function schedulesFoundClosed(memo: ReadonlyMap<string, Value>): readonly string[] {
  return [...memo.keys()].filter((key) => key.startsWith(CLOSED)).map((key) => key.slice(CLOSED.length));
}

/** What an evaluation remembers, for another that asks how it would end at a later time. */
export function lookingAhead(memo: ReadonlyMap<string, Value>): Map<string, Value> {
  return new Map([...memo, [AHEAD, true]]);
}

/** Headers for clients about the limits that a query found exhausted, of what its evaluation remembers. */
export function exhaustedLimits(memo: ReadonlyMap<string, Value>): readonly Readonly<Record<string, string>>[] {
  const found: Readonly<Record<string, string>>[] = [];
  for (const [name, value] of memo) {
    if (!name.startsWith(`${TAKE}\0`)) continue;
    const { allowed, headers } = value as JsonObject;
    if (allowed === false) found.push(headers as Readonly<Record<string, string>>);
  }
  return found;
}

/** Answers the host requests of these builtins, where counters live elsewhere. */
export function extensionHost(limiter: Limiter): (name: string, operand: Value) => Promise<IoAnswer> {
  return async (wanted, operand) => {
    if (wanted !== TAKE) return { error: `unknown function of the host: ${wanted}` };
    const { limit, key: counted } = operand as unknown as { readonly limit: RateLimit; readonly key: string };
    try {
      return { value: toValue(limit, await limiter.take(limit, counted)) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  };
}

function toValue(limit: RateLimit, verdict: LimiterVerdict): JsonObject {
  return {
    allowed: verdict.allowed,
    limit: verdict.limit,
    remaining: verdict.remaining,
    reset_ms: verdict.resetMs,
    retry_after_ms: verdict.retryAfterMs,
    counted: verdict.failure === undefined,
    headers: { ...rateLimitHeaders(limit, verdict) },
  };
}
