/** The compact types of newer versions of Kafka's requests (KIP-482): lengths as unsigned varints, tags behind each structure. */
export const NO_TAGS = Buffer.of(0);

/** Lengths of the compact types are one more than what they count. */
export function length(n: number): Buffer {
  const bytes: number[] = [];
  let left = n;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([length(bytes.length + 1), bytes]);
}

/** What a response holds, from the front. */
export class CompactReader {
  at = 0;
  readonly #data: Buffer;

  constructor(data: Buffer) {
    this.#data = data;
  }

  length(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#data.readUInt8(this.at++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** Empty where there is none. */
  text(): string {
    const bytes = this.length() - 1;
    const from = this.at;
    this.at += Math.max(0, bytes);
    return this.#data.toString('utf8', from, this.at);
  }

  tags(): void {
    for (let left = this.length(); left > 0; left--) {
      this.length();
      const size = this.length();
      this.at += size;
    }
  }
}
