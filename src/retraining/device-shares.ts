/** Devices that are told apart, each with a share of its own. */
const MOST = 256;

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
  #grouped = false;
  /** A trial is asked every second, and most of its times have not changed since. */
  #means: SharedMeans | undefined;

  /** Devices that are scored; above 256 of them no more are counted. */
  get devices(): number {
    return this.#devices.size;
  }

  add(device: string, champion: number, challenger: number): void {
    if (!this.#grouped) {
      this.#devices.add(device);
      if (this.#devices.size > MOST) this.#group();
    }
    const sums = this.#of(this.#grouped ? groupOf(device) : device);
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

  #group(): void {
    this.#grouped = true;
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
  let hash = 2166136261;
  for (let i = 0; i < device.length; i++) hash = Math.imul(hash ^ device.charCodeAt(i), 16777619);
  return String((hash >>> 0) % MOST);
}
