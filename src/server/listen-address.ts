import cluster from "node:cluster";
import { rmSync } from "node:fs";

/** Where to listen. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  /** Linux' abstract namespace: no file. */
  | { readonly kind: "abstract"; readonly name: string };

/** An address that cannot be listened on. */
export class AddressError extends Error {
  override readonly name = "AddressError";
}

/**
 * Reads the plugin's `addr`: `:9191`, `host:port`, `grpc://host:port`, `unix:///run/a.sock`, `unix://@name`.
 *
 * @throws {AddressError}
 */
export function parseGrpcAddress(text: string): ListenAddress {
  const address = text.includes("://") ? text : `grpc://${text}`;
  const scheme = address.slice(0, address.indexOf("://"));
  const rest = address.slice(scheme.length + 3);
  if (scheme === "unix") return parseUnix(rest);
  if (scheme === "grpc") return parseHostPort(text, rest.replace(/\/.*$/, ""));
  throw new AddressError(`invalid url scheme ${JSON.stringify(scheme)}`);
}

/**
 * Reads an HTTP listener's address: `localhost:8181`, `:8181`, `http://…`, `https://…`, `unix:///run/a.sock`.
 *
 * @throws {AddressError}
 */
export function parseHttpAddress(text: string): ListenAddress {
  if (text.startsWith("unix://")) return parseUnix(text.slice("unix://".length));
  return parseHostPort(text, text.replace(/^https?:\/\//, "").replace(/\/.*$/, ""));
}

function parseUnix(rest: string): ListenAddress {
  if (rest.startsWith("@")) return { kind: "abstract", name: rest.slice(1) };
  if (rest === "") throw new AddressError("missing socket path");
  return { kind: "unix", path: rest };
}

function parseHostPort(whole: string, text: string): ListenAddress {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new AddressError(`address ${whole}: missing or invalid port in address`);
  return { kind: "tcp", host: match[1] ?? match[2] ?? "", port };
}

/** The form shown to people, with the port really in use. */
export function formatAddress(address: ListenAddress, port?: number): string {
  switch (address.kind) {
    case "tcp": {
      const host = address.host.includes(":") ? `[${address.host}]` : address.host;
      return `${host}:${port ?? address.port}`;
    }
    case "unix":
      return `unix://${address.path}`;
    case "abstract":
      return `unix://@${address.name}`;
    default:
      return address satisfies never;
  }
}

/**
 * Removes the socket file a killed process left behind. Of several workers only the first does, which starts alone: for
 * the others the file is the socket in use.
 */
export function removeStaleSocket(path: string): void {
  if (cluster.worker === undefined || cluster.worker.id === 1) rmSync(path, { force: true });
}
