import { chmodSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { formatAddress, type ListenAddress, removeStaleSocket } from "./listen-address.ts";
import type { TlsFiles } from "./tls-files.ts";

export type HttpHandler = (message: IncomingMessage, response: ServerResponse) => void;

export interface HttpListenerOptions {
  readonly address: ListenAddress;
  /** Mode of a unix socket. */
  readonly unixSocketMode: number;
  /** Serves HTTPS when given. */
  readonly tls?: HttpTlsOptions;
}

export interface HttpTlsOptions {
  /** With certificate authorities in them, clients must bring a certificate. */
  readonly files: TlsFiles;
  readonly minVersion: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";
  readonly ciphers?: string;
}

/** A client must send its headers, and then its whole request, within these. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const MAX_HEADER_BYTES = 65_536;

/** One HTTP or HTTPS port. */
export class HttpListener {
  readonly #options: HttpListenerOptions;
  readonly #handler: HttpHandler;
  #server: Server | TlsServer | undefined;

  constructor(handler: HttpHandler, options: HttpListenerOptions) {
    this.#handler = handler;
    this.#options = options;
  }

  /** Binds and serves. @returns the address in use. */
  async start(): Promise<string> {
    const { address, tls, unixSocketMode } = this.#options;
    const limits = {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    };
    tls?.files.onChange(() => this.#renewTls(tls));
    const server =
      tls === undefined
        ? createServer(limits, this.#handler)
        : (await import("node:https")).createServer({ ...limits, ...tlsOptions(tls) }, this.#handler);
    this.#server = server;
    if (address.kind === "unix") removeStaleSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      const listening = (): void => {
        server.off("error", reject);
        resolve();
      };
      if (address.kind === "tcp")
        server.listen({ port: address.port, ...(address.host !== "" && { host: address.host }) }, listening);
      else server.listen(address.kind === "unix" ? address.path : `\0${address.name}`, listening);
    });
    if (address.kind === "unix") chmodSync(address.path, unixSocketMode);
    const bound = server.address() as AddressInfo | string;
    return formatAddress(address, typeof bound === "string" ? undefined : bound.port);
  }

  #renewTls(tls: HttpTlsOptions): void {
    const server = this.#server;
    if (server !== undefined && "setSecureContext" in server) server.setSecureContext(tlsOptions(tls));
  }

  /** Accepts nothing more, waits for running requests, and ends what is left after the grace period. */
  async stop(graceMs: number): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      server.close(() => {
        clearTimeout(timer);
        resolve();
      });
      server.closeIdleConnections();
    });
  }
}

function tlsOptions({ files, minVersion, ciphers }: HttpTlsOptions): Record<string, unknown> {
  const { cert, key, ca } = files.current;
  return {
    cert,
    key,
    minVersion,
    ...(ciphers !== undefined && { ciphers }),
    ...(ca !== undefined && { ca, requestCert: true, rejectUnauthorized: true }),
  };
}
