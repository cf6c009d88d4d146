import { lookup as resolve, type LookupAddress } from "node:dns";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";

export interface DocumentRequest {
  readonly url: string;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as a form by POST. */
  readonly form?: string;
}

export interface DocumentResponse {
  readonly status: number;
  readonly body: string;
}

/** Fetches one document. Rejects with `DocumentError` for everything but a complete answer. */
export type FetchDocument = (request: DocumentRequest) => Promise<DocumentResponse>;

/** A document could not be fetched. */
export class DocumentError extends Error {
  override readonly name = "DocumentError";
}

export interface DocumentPolicy {
  /** Take `http:` URLs too. */
  readonly allowsHttp: boolean;
  /** CIDR ranges never connected to, checked after the name is resolved and for the address itself. */
  readonly blockedRanges: readonly string[];
}

/**
 * Fetches small documents of other servers: one deadline for the whole exchange, a limit on the body, no redirects, no
 * connection to blocked addresses, whatever name leads there.
 */
export function documentFetcher(policy: DocumentPolicy): FetchDocument {
  const blocked = blockListOf(policy.blockedRanges);
  return async (request) => {
    const url = parseUrl(request.url);
    if (url.protocol !== "https:" && !(url.protocol === "http:" && policy.allowsHttp)) {
      throw new DocumentError(`${url.protocol.slice(0, -1)} URLs are not allowed: ${url.origin}`);
    }
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    if (isIP(host) !== 0 && isBlocked(blocked, host)) throw new DocumentError(`address ${host} is blocked`);
    return await exchange(url, request, guardedLookup(blocked));
  };
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new DocumentError("not a URL");
  }
}

function exchange(url: URL, request: DocumentRequest, lookup: LookupFunction): Promise<DocumentResponse> {
  return new Promise((done, failed) => {
    const fail = (message: string, cause?: unknown) => {
      outgoing.destroy();
      failed(new DocumentError(`${url.origin}${url.pathname}: ${message}`, { cause }));
    };
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const { form } = request;
    const outgoing = send(url, {
      method: form === undefined ? "GET" : "POST",
      agent: false,
      lookup,
      signal: AbortSignal.timeout(request.timeoutMs),
      headers: {
        accept: "application/json",
        ...request.headers,
        ...(form !== undefined && {
          "content-type": "application/x-www-form-urlencoded",
          "content-length": Buffer.byteLength(form),
        }),
      },
    });
    outgoing.on("error", (cause) => fail(cause.name === "AbortError" ? "timed out" : cause.message, cause));
    outgoing.on("response", (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > request.maxBytes) fail(`answer is longer than ${request.maxBytes} bytes`);
        else chunks.push(chunk);
      });
      response.on("error", (cause) => fail(cause.name === "AbortError" ? "timed out" : cause.message, cause));
      response.on("end", () => {
        if (response.complete) done({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
        else fail("answer was cut short");
      });
    });
    outgoing.end(form);
  });
}

/** Resolves names, and fails for those that lead to a blocked address. */
function guardedLookup(blocked: BlockList): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, "", 0);
      const bad = addresses.find(({ address }) => isBlocked(blocked, address));
      if (bad !== undefined) return callback(new DocumentError(`address ${bad.address} is blocked`), "", 0);
      const [first] = addresses;
      if (options.all === true) return callback(null, addresses);
      return callback(null, first?.address ?? "", first?.family ?? 0);
    });
  };
}

function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", prefix = ""] = range.split("/");
    list.addSubnet(address, Number(prefix), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}

function isBlocked(blocked: BlockList, address: string): boolean {
  return blocked.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
