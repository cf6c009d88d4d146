import type { HeaderPair } from "../decision-form.ts";
import { Code } from "../faults.ts";
import { wellFormed } from "../legality.ts";
import type { CheckResponse } from "../response.ts";

export interface HttpReplyOptions {
  /** Names, in lower case, of the headers that may be set on an allowed request; undefined for all. */
  readonly headersToUpstream: ReadonlySet<string> | undefined;
  /** Names, in lower case, that answers to the client are limited to; undefined for all. */
  readonly headersToClient: ReadonlySet<string> | undefined;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly body: string;
}

/** How Envoy's HTTP client is told which headers to drop before a request goes on. */
const REMOVE_HEADER = "x-envoy-auth-headers-to-remove";

/** They frame this reply; a policy that set them would cut it short or split it. */
const FRAMING = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** A fault: this reply is an error for every proxy. */
export const UNAVAILABLE: HttpReply = { status: 503, headers: [], body: "" };
const FORBIDDEN: HttpReply = { status: 403, headers: [], body: "" };

/**
 * The answer in HTTP. Here the status is the verdict, so an allow is 200 and nothing else is: a denial must not look like
 * one, nor like a failing server, which Envoy's `failure_mode_allow` lets through. Denials keep a status from 300 to 499;
 * for any other they get 403.
 *
 * Query parameters cannot be changed this way. An allow that depends on it is refused rather than half done.
 */
export function toHttpReply(response: CheckResponse, options: HttpReplyOptions): HttpReply {
  const { code, http } = response;
  if (http?.kind === "error") return UNAVAILABLE;
  if (http?.kind === "denied") {
    const { headers, body, httpStatus } = http.answer;
    const status = httpStatus >= 300 && httpStatus < 500 ? httpStatus : 403;
    return { status, headers: only(headers, options.headersToClient), body: wellFormed(body) };
  }
  if (code !== Code.OK) return FORBIDDEN;
  if (http === undefined) return { status: 200, headers: [], body: "" };
  if (http.kind !== "ok") return FORBIDDEN;
  const { changes } = http;
  if (changes.queryParametersToRemove.length > 0 || changes.queryParametersToSet.length > 0) return FORBIDDEN;
  const set = only(changes.headers, options.headersToUpstream);
  // Removals are not limited, and what may not be set must not be the client's either: the upstream may believe it.
  const unset = changes.headers.filter((pair) => !set.includes(pair) && !FRAMING.has(pair.key.toLowerCase()));
  const removals = [...changes.headersToRemove, ...unset.map(({ key }) => key)];
  return {
    status: 200,
    headers: [
      ...set,
      ...only(changes.responseHeadersToAdd, options.headersToClient),
      ...(removals.length > 0 ? [{ key: REMOVE_HEADER, value: removals.join(",") }] : []),
    ],
    body: "",
  };
}

function only(pairs: readonly HeaderPair[], names: ReadonlySet<string> | undefined): readonly HeaderPair[] {
  return pairs.filter(({ key }) => {
    const name = key.toLowerCase();
    return !FRAMING.has(name) && (names === undefined || names.has(name));
  });
}
