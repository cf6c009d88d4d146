import type { HttpResponse } from "./http-client.ts";

/** Responses of `http.send` that outlive their query: OPA's inter-query cache (v1/topdown/http.go, v1/topdown/cache). */

/** Status codes that may be kept (RFC 7231 §6.1). */
const CACHEABLE: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501]);

const ENTRY_OVERHEAD = 512;

export interface CachedResponse {
  readonly response: HttpResponse;
  /** Fresh before this time. */
  readonly expiresAtMs: number;
}

interface Entry extends CachedResponse {
  readonly bytes: number;
}

/** Bounded by size; the oldest entries make room. */
export class HttpCache {
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): CachedResponse | undefined {
    return this.#entries.get(key);
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#bytes -= entry.bytes;
    this.#entries.delete(key);
  }

  /** Keeps a response if it may be kept. @param forceSeconds above 0 overrides what the response says. */
  store(key: string, response: HttpResponse, forceSeconds: number, nowMs: number): void {
    if (!CACHEABLE.has(response.statusCode)) return;
    if (forceSeconds <= 0 && cacheControl(response.headers).has("no-store")) return;
    const expiresAtMs = expiry(response, forceSeconds, nowMs);
    if (expiresAtMs !== undefined) this.#insert(key, { response, expiresAtMs });
  }

  /** Takes over the headers of a 304: the kept response is still good. @returns the response as it is now */
  refresh(
    key: string,
    kept: HttpResponse,
    notModified: HttpResponse,
    forceSeconds: number,
    nowMs: number,
  ): HttpResponse | undefined {
    const response = { ...kept, headers: { ...kept.headers, ...notModified.headers } };
    const expiresAtMs = expiry(notModified, forceSeconds, nowMs);
    if (expiresAtMs === undefined) return undefined;
    this.#insert(key, { response, expiresAtMs });
    return response;
  }

  #insert(key: string, cached: CachedResponse): void {
    this.delete(key);
    const { body, headers } = cached.response;
    const bytes = ENTRY_OVERHEAD + 2 * (key.length + body.length + JSON.stringify(headers).length);
    if (bytes > this.#maxBytes) return;
    for (const [oldest] of this.#entries) {
      if (this.#bytes + bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
    this.#entries.set(key, { ...cached, bytes });
    this.#bytes += bytes;
  }
}

type Headers = HttpResponse["headers"];

/** Directives by name; of those with a value the value. */
function cacheControl(headers: Headers): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  for (const part of (headers["cache-control"]?.[0] ?? "").split(",")) {
    const [name = "", value, ...more] = part.trim().split("=");
    if (name !== "" && more.length === 0) directives.set(name.trim(), value ?? "");
  }
  return directives;
}

/** When the response goes stale; in the past when it does not say; undefined when what it says cannot be read. */
function expiry({ headers }: HttpResponse, forceSeconds: number, nowMs: number): number | undefined {
  if (forceSeconds > 0) return nowMs + forceSeconds * 1000;
  const maxAge = cacheControl(headers).get("max-age");
  if (maxAge === undefined) return parseHttpDate(headers["expires"]?.[0]) ?? 0;
  const date = parseHttpDate(headers["date"]?.[0]);
  if (!/^\d+$/.test(maxAge) || date === undefined) return undefined;
  return date + Math.min(Number(maxAge), 0x7fff_ffff) * 1000;
}

const HTTP_DATES = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]+day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** The three forms of RFC 9110 §5.6.7, in milliseconds. */
function parseHttpDate(text: string | undefined): number | undefined {
  if (text === undefined || !HTTP_DATES.some((form) => form.test(text))) return undefined;
  const ms = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Conditions under which the server need not send the kept response again. */
export function validators({ headers }: HttpResponse): readonly (readonly [string, string])[] {
  const etag = headers["etag"]?.[0] ?? "";
  const lastModified = headers["last-modified"]?.[0] ?? "";
  return [
    ...(etag === "" ? [] : [["If-None-Match", etag] as const]),
    ...(lastModified === "" ? [] : [["If-Modified-Since", lastModified] as const]),
  ];
}
