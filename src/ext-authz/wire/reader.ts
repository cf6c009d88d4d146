import { isAscii, isUtf8 } from "node:buffer";
import { fromBigInt, type NumberValue } from "../../rego/value/index.ts";
import { WireError } from "../errors.ts";
import { knownName } from "./names.ts";

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_LENGTH = 2;
export const WIRE_GROUP_START = 3;
export const WIRE_GROUP_END = 4;
export const WIRE_FIXED32 = 5;

const MAX_GROUP_DEPTH = 100;

/** Reads protobuf's wire format from a buffer. Every overrun is a WireError, never a read past the end. */
export class WireReader {
  readonly bytes: Buffer;
  at = 0;
  readonly end: number;
  /** The whole message, a character for a byte: strings of ASCII, as most are, are slices of it, not conversions of their own. */
  readonly #latin1: string;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.end = bytes.length;
    this.#latin1 = bytes.toString("latin1");
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  /** Field number and wire type: `number << 3 | type`. */
  tag(): number {
    const tag = this.uint32();
    if (tag >>> 3 === 0) throw new WireError("illegal field number 0");
    return tag;
  }

  /** A varint cut to 32 bits, unsigned. */
  uint32(): number {
    const { bytes } = this;
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw truncated();
      const byte = bytes[this.at++] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new WireError("varint is too long");
  }

  /** A varint of 64 bits, unsigned. */
  uint64(): bigint {
    const { bytes } = this;
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) throw truncated();
      const byte = bytes[this.at++] as number;
      const bits = byte & 0x7f;
      if (i < 4) low |= bits << (7 * i);
      else if (i === 4) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (7 * i - 32);
      if (byte < 0x80) return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    }
    throw new WireError("varint is too long");
  }

  int64(): NumberValue {
    const start = this.at;
    let value = 0;
    // Seven bytes stay below 2^49: numbers people meet.
    for (let i = 0, scale = 1; i < 7; i++, scale *= 128) {
      if (this.at >= this.end) throw truncated();
      const byte = this.bytes[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    this.at = start;
    return fromBigInt(BigInt.asIntN(64, this.uint64()));
  }

  bool(): boolean {
    return this.int64() !== 0;
  }

  fixed32(): number {
    this.#need(4);
    const value = this.bytes.readUInt32LE(this.at);
    this.at += 4;
    return value;
  }

  fixed64(): bigint {
    this.#need(8);
    const value = this.bytes.readBigUInt64LE(this.at);
    this.at += 8;
    return value;
  }

  float(): number {
    this.#need(4);
    const value = this.bytes.readFloatLE(this.at);
    this.at += 4;
    return value;
  }

  double(): number {
    this.#need(8);
    const value = this.bytes.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }

  /** The end of a length-delimited field that starts here. */
  lengthEnd(): number {
    const length = this.uint32();
    const end = this.at + length;
    if (end > this.end) throw truncated();
    return end;
  }

  /** @throws {WireError} where the text is not UTF-8: proto3 forbids it, and a lenient reading could match what it should not. */
  string(): string {
    const end = this.lengthEnd();
    const start = this.at;
    this.at = end;
    if (isAsciiBetween(this.bytes, start, end)) return this.#latin1.slice(start, end);
    const text = this.bytes.toString("utf8", start, end);
    if (text.includes("\ufffd") && !isUtf8(this.bytes.subarray(start, end)))
      throw new WireError("string field contains invalid UTF-8");
    return text;
  }

  /** A string that will name a member: the one that has named others before, where there is one. */
  name(): string {
    const start = this.at;
    const end = this.lengthEnd();
    const known = knownName(this.bytes, this.at, end);
    if (known !== undefined) {
      this.at = end;
      return known;
    }
    this.at = start;
    return this.string();
  }

  raw(): Buffer {
    const end = this.lengthEnd();
    const value = this.bytes.subarray(this.at, end);
    this.at = end;
    return value;
  }

  skip(wireType: number, depth = 0): void {
    switch (wireType) {
      case WIRE_VARINT:
        this.uint64();
        return;
      case WIRE_FIXED64:
        this.#need(8);
        this.at += 8;
        return;
      case WIRE_LENGTH:
        this.at = this.lengthEnd();
        return;
      case WIRE_FIXED32:
        this.#need(4);
        this.at += 4;
        return;
      case WIRE_GROUP_START:
        if (depth >= MAX_GROUP_DEPTH) throw new WireError("message is nested too deep");
        for (;;) {
          const inner = this.tag() & 7;
          if (inner === WIRE_GROUP_END) return;
          this.skip(inner, depth + 1);
        }
      default:
        throw new WireError("illegal wire type");
    }
  }

  #need(count: number): void {
    if (this.at + count > this.end) throw truncated();
  }
}

/** Up to here a loop is faster than the call of the native check. */
const SHORT_BYTES = 128;

function isAsciiBetween(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > SHORT_BYTES) return isAscii(bytes.subarray(start, end));
  for (let at = start; at < end; at++) if ((bytes[at] as number) >= 0x80) return false;
  return true;
}

function truncated(): WireError {
  return new WireError("unexpected end of message");
}
