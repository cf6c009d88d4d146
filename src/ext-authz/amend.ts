import type { Ruled } from "../decision/index.ts";
import { type Decision, MESH_DENIAL, NO_CHANGES, type RequestChanges } from "./decision.ts";
import type { HeaderPair } from "./decision-form.ts";

/** Adds to a decision what identity and rate limits have to say, whoever decided. */
export function amend(decision: Decision, { headers, exhausted }: Pick<Ruled, "headers" | "exhausted">): Decision {
  const amended = exhausted.length === 0 ? decision : withLimits(decision, exhausted);
  const changesHeaders = headers.remove.length > 0 || Object.keys(headers.set).length > 0;
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
 * Envoy sets headers first and removes afterwards, so a header that the policy sets itself must not be among the removed:
 * the policy's value replaces the client's anyway.
 */
function withHeaders(decision: Decision, { set, remove }: Ruled["headers"]): Decision {
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
    },
  };
}
