/**
 * Bytes of operator state, little endian. Sequential: what is read must be what was written, in the same order; the
 * version of the store's codec stands for the layout.
 */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  number(value: number): this {
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
    return this;
  }

  count(value: number): this {
    this.#reserve(4);
    this.#length = this.#bytes.writeUInt32LE(value, this.#length);
    return this;
  }

  text(value: string): this {
    const size = Buffer.byteLength(value);
    this.count(size).#reserve(size);
    this.#length += this.#bytes.write(value, this.#length);
    return this;
  }

  raw(value: Uint8Array): this {
    this.count(value.length).#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** Numbers from index `from` on. */
  numbers(values: ArrayLike<number>, from = 0): this {
    const size = values.length - from;
    this.count(size).#reserve(size * 8);
    for (let i = from; i < values.length; i++) this.#length = this.#bytes.writeDoubleLE(values[i]!, this.#length);
    return this;
  }

  /** A copy of what was written. */
  done(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#length));
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + size));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  number(): number {
    this.#at += 8;
    return this.#bytes.readDoubleLE(this.#at - 8);
  }

  count(): number {
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }

  text(): string {
    const size = this.count();
    this.#at += size;
    return this.#bytes.toString('utf8', this.#at - size, this.#at);
  }

  raw(): Uint8Array {
    const size = this.count();
    this.#at += size;
    return new Uint8Array(this.#bytes.subarray(this.#at - size, this.#at));
  }

  numbers(): number[] {
    return Array.from({ length: this.count() }, () => this.number());
  }
}

/** FNV-1a of what a layout depends on: the version of a codec's bytes. */
export function versionOf(parts: unknown): number {
  let hash = 2166136261;
  for (const char of JSON.stringify(parts)) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  return hash >>> 0;
}
