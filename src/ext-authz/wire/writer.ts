/** Up to here a loop is faster than the native conversion; the length takes one byte. */
const SHORT_CHARS = 64;

/** Writes protobuf's wire format. Defaults are written where the caller says so: it alone knows about presence. */
export class WireWriter {
  #bytes = Buffer.allocUnsafe(512);
  #at = 0;

  varintField(field: number, value: number): void {
    this.#varint((field << 3) >>> 0);
    this.#varint(value >>> 0);
  }

  doubleField(field: number, value: number): void {
    this.#varint((field << 3) | 1);
    this.#reserve(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  stringField(field: number, text: string): void {
    this.#varint((field << 3) | 2);
    if (text.length <= SHORT_CHARS && this.#shortAscii(text)) return;
    const length = Buffer.byteLength(text, "utf8");
    this.#varint(length);
    this.#reserve(length);
    this.#at += this.#bytes.write(text, this.#at, "utf8");
  }

  /** Writes length and text where the text is ASCII; writes nothing else where it is not. */
  #shortAscii(text: string): boolean {
    this.#reserve(1 + SHORT_CHARS);
    const bytes = this.#bytes;
    let at = this.#at + 1;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return false;
      bytes[at++] = code;
    }
    bytes[this.#at] = text.length;
    this.#at = at;
    return true;
  }

  bytesField(field: number, bytes: Buffer): void {
    this.#varint((field << 3) | 2);
    this.#varint(bytes.length);
    this.#reserve(bytes.length);
    this.#at += bytes.copy(this.#bytes, this.#at);
  }

  /** Begins a nested message. @returns what `close` takes to end it. */
  open(field: number): number {
    this.#varint((field << 3) | 2);
    this.#reserve(1);
    return this.#at++;
  }

  /** Ends a nested message. Its length is known only now, so it moves up when that takes more than a byte. */
  close(lengthAt: number): void {
    const length = this.#at - lengthAt - 1;
    if (length < 0x80) {
      this.#bytes[lengthAt] = length;
      return;
    }
    const width = varintWidth(length);
    this.#reserve(width);
    this.#bytes.copyWithin(lengthAt + width, lengthAt + 1, this.#at);
    this.#at = lengthAt;
    this.#varint(length);
    this.#at += length;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #varint(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + count));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

function varintWidth(value: number): number {
  let width = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) width++;
  return width;
}
