import { gunzipSync } from "node:zlib";
import { LoadError, messageOf } from "../errors.ts";

export interface ArchiveLimits {
  /** Bytes one file may have. OPA's default is 1 GiB. */
  readonly fileBytes: number;
  /** Bytes of all files together, unpacked. */
  readonly totalBytes: number;
  readonly files: number;
}

export const ARCHIVE_LIMITS: ArchiveLimits = { fileBytes: 1_073_741_824, totalBytes: 1_073_741_824, files: 100_000 };

const BLOCK = 512;
const GZIP_MAGIC = 0x1f8b;

/**
 * Reads the regular files of a `.tar.gz` (or plain tar) from memory; nothing is ever written to disk, so names cannot
 * lead anywhere. Links, devices and directories are skipped.
 *
 * @returns contents by path without leading `/` or `./`.
 * @throws {LoadError} bad_bundle
 */
export function readArchive(
  name: string,
  bytes: Uint8Array,
  limits: ArchiveLimits = ARCHIVE_LIMITS,
): Map<string, Uint8Array> {
  const tar = unzip(name, bytes, limits);
  const files = new Map<string, Uint8Array>();
  let longName: string | undefined;
  let at = 0;
  while (at + BLOCK <= tar.length) {
    const header = tar.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return files;
    checkHeader(name, header);
    const size = octal(header, 124, 12);
    const kind = String.fromCharCode(header[156] as number);
    const start = at + BLOCK;
    if (!Number.isSafeInteger(size) || size < 0 || start + size > tar.length)
      throw new LoadError("bad_bundle", `${name}: unexpected EOF in archive`);
    const content = tar.subarray(start, start + size);
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    if (kind === "L") longName = text(content, 0, content.length);
    else if (kind === "x") longName = paxPath(content) ?? longName;
    else if (kind === "0" || kind === "\0" || kind === "7") {
      const path = cleanPath(name, longName ?? headerName(header));
      longName = undefined;
      if (size > limits.fileBytes)
        throw new LoadError(
          "bad_bundle",
          `${name}: bundle file '${path}' exceeded max size of ${limits.fileBytes} bytes`,
        );
      if (files.size >= limits.files) throw new LoadError("bad_bundle", `${name}: more than ${limits.files} files`);
      files.set(path, content);
    } else longName = undefined;
  }
  if (files.size === 0 && tar.length > 0) throw new LoadError("bad_bundle", `${name}: not a tar archive`);
  return files;
}

function unzip(name: string, bytes: Uint8Array, limits: ArchiveLimits): Uint8Array {
  if (bytes.length < 2 || (((bytes[0] as number) << 8) | (bytes[1] as number)) !== GZIP_MAGIC) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: limits.totalBytes });
  } catch (cause) {
    throw new LoadError("bad_bundle", `${name}: archive read failed: ${messageOf(cause)}`, { cause });
  }
}

function checkHeader(name: string, header: Uint8Array): void {
  const stated = octal(header, 148, 8);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (header[i] as number);
  if (sum !== stated) throw new LoadError("bad_bundle", `${name}: archive read failed: invalid tar header`);
}

/** A number field: octal text, or base 256 where the first bit is set (GNU). */
function octal(header: Uint8Array, offset: number, length: number): number {
  const first = header[offset] as number;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + (header[offset + i] as number);
    return value;
  }
  const digits = text(header, offset, length).trim();
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function headerName(header: Uint8Array): string {
  const name = text(header, 0, 100);
  const isUstar = text(header, 257, 5) === "ustar";
  const prefix = isUstar ? text(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function text(bytes: Uint8Array, offset: number, length: number): string {
  const field = bytes.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end === -1 ? field : field.subarray(0, end));
}

/** The `path` record of a pax header: lines of `LENGTH key=value\n`. */
function paxPath(content: Uint8Array): string | undefined {
  let at = 0;
  let path: string | undefined;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    if (space === -1) break;
    const length = Number.parseInt(text(content, at, space - at), 10);
    if (!(length > 0)) break;
    const record = text(content, space + 1, at + length - space - 2);
    if (record.startsWith("path=")) path = record.slice(5);
    at += length;
  }
  return path;
}

function cleanPath(archive: string, raw: string): string {
  const parts = raw.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes(".."))
    throw new LoadError("bad_bundle", `${archive}: file name ${JSON.stringify(raw)} leads out of the archive`);
  return parts.join("/");
}
