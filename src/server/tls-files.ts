import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Logger } from "../telemetry/index.ts";

export interface TlsPaths {
  readonly certFile: string;
  readonly keyFile: string;
  /** Certificate authorities of clients. */
  readonly caFile: string | undefined;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
}

const REFRESH_MS = 2000;

/**
 * Certificates from files, read again when they change. A pair that does not fit together is refused, and so is a new one
 * that has expired: the old one stays.
 */
export class TlsFiles {
  readonly #paths: TlsPaths;
  readonly #logger: Logger;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  readonly #timer: NodeJS.Timeout;
  #current: TlsMaterial;

  private constructor(paths: TlsPaths, current: TlsMaterial, logger: Logger, refreshMs: number) {
    this.#paths = paths;
    this.#current = current;
    this.#logger = logger;
    this.#timer = setInterval(() => void this.#refresh(), refreshMs);
    this.#timer.unref();
  }

  /** @throws when the files cannot be read or do not fit together. */
  static async open(paths: TlsPaths, logger: Logger, refreshMs: number = REFRESH_MS): Promise<TlsFiles> {
    return new TlsFiles(paths, await read(paths), logger, refreshMs);
  }

  get current(): TlsMaterial {
    return this.#current;
  }

  /** Calls back with new material. @returns a function that ends it. */
  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #refresh(): Promise<void> {
    try {
      const material = await read(this.#paths);
      if (isSame(material, this.#current)) return;
      const { validTo } = new X509Certificate(material.cert);
      if (Date.parse(validTo) < Date.now()) throw new Error(`the certificate has expired: ${validTo}`);
      this.#current = material;
      for (const listener of this.#listeners) listener(material);
      this.#logger.info("TLS certificate was reloaded.", { cert: this.#paths.certFile });
    } catch (cause) {
      this.#logger.error("TLS certificate could not be reloaded. The old one stays in use.", {
        cert: this.#paths.certFile,
        err: cause,
      });
    }
  }
}

async function read({ certFile, keyFile, caFile }: TlsPaths): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    readFile(certFile),
    readFile(keyFile),
    caFile === undefined ? undefined : readFile(caFile),
  ]);
  createSecureContext({ cert, key, ...(ca !== undefined && { ca }) });
  return { cert, key, ca };
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  return (
    a.cert.equals(b.cert) &&
    a.key.equals(b.key) &&
    (a.ca === undefined ? b.ca === undefined : b.ca !== undefined && a.ca.equals(b.ca))
  );
}
