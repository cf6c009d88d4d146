import type { Ruled } from "../decision/index.ts";
import { type Decision, MESH_DENIAL, NO_CHANGES, type RequestChanges } from "./decision.ts";
import type { HeaderPair } from "./decision-form.ts";

/** Adds to a decision what identity, rate limits and schedules have to say, whoever decided. */
export function amend(
  decision: Decision,
  { headers, exhausted, opening }: Pick<Ruled, "headers" | "exhausted" | "opening">,
): Decision {
  const amended =
    exhausted.length > 0
      ? withLimits(decision, exhausted)
      : opening === undefined
        ? decision
        : withOpening(decision, opening);
  const { set, remove, removeParameters } = headers;
  const changesHeaders = remove.length > 0 || Object.keys(set).length > 0 || (removeParameters ?? []).length > 0;
  return changesHeaders ? withHeaders(amended, headers) : amended;
}

/**
 * A client who is over a limit learns when to come back. A denial without an answer of its own becomes 429, as does the
 * mesh's; what a policy answers keeps its status and its headers.
 */
function withLimits(decision: Decision, exhausted: Ruled["exhausted"]): Decision {
  if (decision.verdict !== "deny") return decision;
  const { answer } = decision;
  const own = new Set(answer?.headers.map(({ key }) => key.toLowerCase()));
  // Of several limits the one that takes longest to recover is the one to obey.
  const [longest] = [...exhausted].sort((a, b) => Number(b["Retry-After"] ?? 0) - Number(a["Retry-After"] ?? 0));
  const added: HeaderPair[] = Object.entries(longest ?? {})
    .filter(([key]) => !own.has(key.toLowerCase()))
    .map(([key, value]) => ({ key, value }));
  const isOwn = answer !== undefined && answer !== MESH_DENIAL;
  return {
    ...decision,
    answer: isOwn
      ? { ...answer, headers: [...answer.headers, ...added] }
      : { headers: added, body: "Too many requests", httpStatus: 429 },
  };
}

/**
 * Who was only early learns when to come back. A denial without an answer of its own, and the mesh's, says it in words as
 * well; what a policy answers keeps its body, and its `Retry-After` if it has one.
 */
function withOpening(decision: Decision, { atMs, afterMs }: NonNullable<Ruled["opening"]>): Decision {
  if (decision.verdict !== "deny") return decision;
  const { body, headers, httpStatus } = decision.answer ?? { ...MESH_DENIAL, body: "access denied" };
  if (headers.some(({ key }) => key.toLowerCase() === "retry-after")) return decision;
  const isOwn = decision.answer !== undefined && decision.answer !== MESH_DENIAL;
  const retryAfter = { key: "Retry-After", value: String(Math.ceil(afterMs / 1000)) };
  const opens = `${body}: opens at ${new Date(atMs).toISOString().replace(".000Z", "Z")}`;
  return { ...decision, answer: { httpStatus, body: isOwn ? body : opens, headers: [...headers, retryAfter] } };
}

/**
 * Envoy sets headers first and removes afterwards, so a header that the policy sets itself must not be among the removed:
 * the policy's value replaces the client's anyway.
 */
function withHeaders(decision: Decision, { set, remove, removeParameters = [] }: Ruled["headers"]): Decision {
  if (decision.verdict === "fault") return decision;
  const changes: RequestChanges = decision.changes ?? NO_CHANGES;
  const own = new Set(changes.headers.map(({ key }) => key.toLowerCase()));
  const added = Object.entries(set)
    .filter(([key]) => !own.has(key))
    .map(([key, value]) => ({ key, value }));
  return {
    ...decision,
    changes: {
      ...changes,
      headers: [...added, ...changes.headers],
      headersToRemove: [...changes.headersToRemove, ...remove.filter((name) => !own.has(name))],
      queryParametersToRemove: [...changes.queryParametersToRemove, ...removeParameters],
    },
  };
}
