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
    const length = Buffer.byteLength(text, "utf8");
    this.#varint(length);
    this.#reserve(length);
    this.#at += this.#bytes.write(text, this.#at, "utf8");
  }

  bytesField(field: number, bytes: Buffer): void {
    this.#varint((field << 3) | 2);
    this.#varint(bytes.length);
    this.#reserve(bytes.length);
    this.#at += bytes.copy(this.#bytes, this.#at);
  }

  /** A nested message. Its length is known afterwards only, so it moves up when that takes more than a byte. */
  messageField(field: number, writeMembers: () => void): void {
    this.#varint((field << 3) | 2);
    this.#reserve(5);
    const lengthAt = this.#at;
    this.#at += 1;
    writeMembers();
    const length = this.#at - lengthAt - 1;
    const width = varintWidth(length);
    if (width > 1) {
      this.#reserve(width);
      this.#bytes.copyWithin(lengthAt + width, lengthAt + 1, this.#at);
    }
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
