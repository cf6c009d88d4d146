/** DER was malformed; the caller words what it was reading. */
export class DerError extends Error {
  override readonly name = "DerError";
}

/** Universal tags, constructed bit included where DER demands it. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The tag `[n]`, primitive. */
export function contextTag(n: number): number {
  return 0x80 | n;
}

/** The tag `[n]`, constructed. */
export function constructedTag(n: number): number {
  return 0xa0 | n;
}

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly raw: Uint8Array;
}

/** An object identifier, arc by arc. Arcs past 2^53 are bigints. */
export type Oid = readonly (number | bigint)[];

/**
 * Reads DER (X.690 §8, §10) element by element, strictly: definite and minimal lengths, single-byte tags.
 * What is wrong is thrown as `DerError`.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** What has not been read. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  readAny(): DerElement {
    const start = this.#at;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw new DerError("unsupported tag");
    const length = this.#length();
    const content = this.#take(length);
    return { tag, content, raw: this.#bytes.subarray(start, this.#at) };
  }

  readElement(tag: number): DerElement {
    if (this.peek() !== tag) throw new DerError(`tags don't match (want ${tag}, have ${this.peek() ?? "nothing"})`);
    return this.readAny();
  }

  read(tag: number): Uint8Array {
    return this.readElement(tag).content;
  }

  /** Enters a constructed element. */
  enter(tag: number): DerReader {
    return new DerReader(this.read(tag));
  }

  /** The next element if it has this tag. */
  optional(tag: number): DerElement | undefined {
    return this.peek() === tag ? this.readAny() : undefined;
  }

  readInteger(tag: number = TAG.integer): bigint {
    return toInteger(this.read(tag));
  }

  readBoolean(): boolean {
    const content = this.read(TAG.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new DerError("invalid boolean");
    return content[0] === 0xff;
  }

  readOid(): Oid {
    return toOid(this.read(TAG.oid));
  }

  readBitString(): BitString {
    const content = this.read(TAG.bitString);
    const unused = content[0];
    if (unused === undefined || unused > 7 || (content.length === 1 && unused > 0)) {
      throw new DerError("invalid bit string");
    }
    const bytes = content.subarray(1);
    if (unused > 0 && ((bytes.at(-1) as number) & ((1 << unused) - 1)) !== 0) throw new DerError("invalid bit string");
    return { bytes, length: bytes.length * 8 - unused };
  }

  /** UTCTime or GeneralizedTime in the form RFC 5280 §4.1.2.5 prescribes; milliseconds since the epoch. */
  readTime(): number {
    const { tag, content } = this.readAny();
    const text = String.fromCharCode(...content);
    if (tag === TAG.utcTime) return utcTime(text);
    if (tag === TAG.generalizedTime) return generalizedTime(text);
    throw new DerError("unsupported time format");
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new DerError("data truncated");
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new DerError("unsupported length");
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError("non-minimal length");
    return length;
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new DerError("data truncated");
    const content = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return content;
  }
}

export interface BitString {
  readonly bytes: Uint8Array;
  /** In bits. */
  readonly length: number;
}

/** Whether bit `i` is set, counted from the most significant of the first byte. */
export function bitAt(bits: BitString, i: number): boolean {
  return i < bits.length && (((bits.bytes[i >> 3] as number) >> (7 - (i & 7))) & 1) === 1;
}

/** A two's complement big-endian integer. */
export function toInteger(content: Uint8Array): bigint {
  const [first, second] = content;
  if (first === undefined) throw new DerError("empty integer");
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new DerError("integer not minimally-encoded");
  }
  const magnitude = unsigned(content);
  return first < 0x80 ? magnitude : magnitude - (1n << BigInt(content.length * 8));
}

/** A big-endian integer without sign. */
export function unsigned(bytes: Uint8Array): bigint {
  let hex = "0x0";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return BigInt(hex);
}

export function toOid(content: Uint8Array): Oid {
  const arcs: (number | bigint)[] = [];
  let arc = 0n;
  let isOpen = false;
  for (const byte of content) {
    if (!isOpen && byte === 0x80) throw new DerError("base 128 integer is not minimally encoded");
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    isOpen = byte >= 0x80;
    if (isOpen) continue;
    if (arcs.length === 0) {
      const root = arc < 40n ? 0n : arc < 80n ? 1n : 2n;
      arcs.push(Number(root), small(arc - root * 40n));
    } else arcs.push(small(arc));
    arc = 0n;
  }
  if (isOpen || arcs.length === 0) throw new DerError("malformed object identifier");
  return arcs;
}

function small(n: bigint): number | bigint {
  return n <= 9007199254740991n ? Number(n) : n;
}

function utcTime(text: string): number {
  const match = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?Z$/.exec(text);
  if (match === null) throw new DerError("malformed UTCTime");
  const [yy, ...rest] = match.slice(1).map((part) => Number(part ?? 0)) as [number, ...number[]];
  return instant(yy < 50 ? 2000 + yy : 1900 + yy, rest);
}

function generalizedTime(text: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) throw new DerError("malformed GeneralizedTime");
  const [year, ...rest] = match.slice(1).map(Number) as [number, ...number[]];
  return instant(year, rest);
}

function instant(year: number, rest: readonly number[]): number {
  const [month = 1, day = 1, hour = 0, minute = 0, second = 0] = rest;
  const date = new Date(Date.UTC(2000, month - 1, day, hour, minute, second));
  date.setUTCFullYear(year, month - 1, day);
  const isReal =
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  if (!isReal) throw new DerError("no such time");
  return date.getTime();
}
