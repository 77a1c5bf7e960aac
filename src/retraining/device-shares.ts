/** Devices that are told apart, each with a share of its own. */
const MOST = 256;

/** Bits that further devices are counted by. */
const BITS = 65_536;

interface Sums {
  champion: number;
  challenger: number;
  pairs: number;
}

/** Mean errors of both models at one time. */
export interface SharedMeans {
  readonly champion: number;
  readonly challenger: number;
}

/**
 * Errors of two models at one time, by device: each device counts alike, however many series or steps of it are scored.
 * Above 256 devices they are put into 256 groups by their names, and the groups count alike, so that a device never
 * decides more than one of them. Which device comes first makes no difference.
 */
export class DeviceShares {
  readonly #shares = new Map<string, Sums>();
  readonly #devices = new Set<string>();
  /** A bit for each device, by its name, once there are groups. */
  #marks: Uint8Array | undefined;
  #marked = 0;
  /** A trial is asked every second, and most of its times have not changed since. */
  #means: SharedMeans | undefined;

  /** Devices that are scored; above 256 of them an estimate by linear counting (Whang and others, 1990), for up to some 500,000. */
  get devices(): number {
    if (this.#marks === undefined) return this.#devices.size;
    return Math.round(BITS * Math.log(BITS / Math.max(1, BITS - this.#marked)));
  }

  add(device: string, champion: number, challenger: number): void {
    if (this.#marks === undefined) {
      this.#devices.add(device);
      if (this.#devices.size > MOST) this.#group();
    } else this.#mark(this.#marks, device);
    const sums = this.#of(this.#marks === undefined ? device : groupOf(device));
    sums.champion += champion;
    sums.challenger += challenger;
    sums.pairs++;
    this.#means = undefined;
  }

  means(): SharedMeans {
    this.#means ??= this.#mean();
    return this.#means;
  }

  #mean(): SharedMeans {
    let [champion, challenger] = [0, 0];
    for (const [, sums] of [...this.#shares].sort(([a], [b]) => (a < b ? -1 : 1))) {
      champion += sums.champion / sums.pairs;
      challenger += sums.challenger / sums.pairs;
    }
    return { champion: champion / this.#shares.size, challenger: challenger / this.#shares.size };
  }

  #of(share: string): Sums {
    let sums = this.#shares.get(share);
    if (sums === undefined) {
      sums = { champion: 0, challenger: 0, pairs: 0 };
      this.#shares.set(share, sums);
    }
    return sums;
  }

  #mark(marks: Uint8Array, device: string): void {
    const bit = hashOf(device) % BITS;
    const mask = 1 << (bit & 7);
    if ((marks[bit >> 3]! & mask) !== 0) return;
    marks[bit >> 3]! |= mask;
    this.#marked++;
  }

  #group(): void {
    this.#marks = new Uint8Array(BITS / 8);
    for (const device of this.#devices) this.#mark(this.#marks, device);
    this.#devices.clear();
    const before = [...this.#shares];
    this.#shares.clear();
    for (const [device, { champion, challenger, pairs }] of before) {
      const sums = this.#of(groupOf(device));
      sums.champion += champion;
      sums.challenger += challenger;
      sums.pairs += pairs;
    }
  }
}

function groupOf(device: string): string {
  return String(hashOf(device) % MOST);
}

/** FNV-1a */
function hashOf(text: string): number {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return hash >>> 0;
}
