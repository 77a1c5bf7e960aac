/** Seeded random numbers (xoshiro128**): the same sequence on every machine. */
export class Random {
  readonly #state = new Uint32Array(4);

  /** @param seeds integers; every combination gives an independent sequence. */
  constructor(...seeds: readonly number[]) {
    let mix = 0x9e3779b9;
    for (const seed of seeds) mix = scramble(mix ^ scramble((seed | 0) + 0x85ebca6b));
    for (let i = 0; i < 4; i++) {
      mix = (mix + 0x9e3779b9) | 0;
      this.#state[i] = scramble(mix);
    }
  }

  /** An integer, 0 ≤ n < 2³². */
  next(): number {
    const s = this.#state;
    const [a, b, c, d] = [s[0]!, s[1]!, s[2]!, s[3]!];
    const scrambled = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const c1 = c ^ a;
    const d1 = d ^ b;
    s[1] = b ^ c1;
    s[0] = a ^ d1;
    s[2] = c1 ^ (b << 9);
    s[3] = rotate(d1, 11);
    return scrambled;
  }

  /** 0 ≤ x < 1, a multiple of 2⁻²⁴ (exact in single precision). */
  uniform(): number {
    return (this.next() >>> 8) / 16777216;
  }

  /** About normal, mean 0, deviation 1: the sum of twelve uniform numbers, so that no logarithm is needed. */
  normal(): number {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += this.uniform();
    return sum;
  }

  /** An integer, 0 ≤ n < limit ≤ 2³². */
  below(limit: number): number {
    return Math.floor((this.next() / 4294967296) * limit);
  }

  /** Puts a random choice of `count` items at the front of the array, in random order. */
  shuffle(items: Int32Array, count = items.length): void {
    for (let i = 0; i < count; i++) {
      const j = i + this.below(items.length - i);
      const kept = items[i]!;
      items[i] = items[j]!;
      items[j] = kept;
    }
  }
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

function scramble(x: number): number {
  let z = x | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
