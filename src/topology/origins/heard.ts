import type { ByteReader, ByteWriter } from '../../operators/binary.ts';
import type { StoreMark } from '../../state/store.ts';

/** Event time at which an origin was heard last, and when that came in. Milliseconds since the epoch. */
export interface Hearing {
  readonly origin: string;
  readonly time: number;
  readonly ingestTime: number;
}

/** The origins of one key that have been heard lately. */
export interface Heard {
  /** Nobody has been heard, or all have been dropped. */
  readonly empty: boolean;
  /** The latest event time, of each origin at most the ingest time of its last record; −∞ for none. */
  readonly newest: number;
  /** Nothing is due to be dropped that came in after this. */
  readonly oldest: number;
  /** @param floor what is before it can hold nobody up; see `lowest`. */
  hear(hearing: Hearing, floor: number): void;
  /** The least of the origins' latest event times, of those at or after `floor`; ∞ for none. */
  lowest(floor: number): number;
  /** Drops what came in at or before this. */
  drop(until: number): void;
  encode(writer: ByteWriter): void;
  mark(): StoreMark;
}

/** Every origin with its latest time: 16 bytes and the name for each. */
export class HeardOrigins implements Heard {
  newest = Number.NEGATIVE_INFINITY;
  oldest = Number.POSITIVE_INFINITY;
  readonly #rows = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #times: number[] = [];
  readonly #ingestTimes: number[] = [];
  /** `lowest(#floor)`, where it is known. */
  #lowest = Number.NaN;
  #floor = Number.NEGATIVE_INFINITY;
  /** While there is a mark: how to take back each change since, the last one first. */
  #undo: (() => void)[] | undefined;

  get empty(): boolean {
    return this.#names.length === 0;
  }

  get size(): number {
    return this.#names.length;
  }

  hear({ origin, time, ingestTime }: Hearing): void {
    let row = this.#rows.get(origin);
    if (row === undefined) {
      row = this.#names.length;
      this.#rows.set(origin, row);
      this.#names.push(origin);
      this.#times.push(time);
      this.#ingestTimes.push(ingestTime);
      this.#undo?.push(() => this.#remove(this.#names.length - 1));
    } else {
      this.#keep(row);
      if (this.#times[row]! <= this.#lowest) this.#lowest = Number.NaN;
      this.#times[row] = Math.max(this.#times[row]!, time);
      this.#ingestTimes[row] = Math.max(this.#ingestTimes[row]!, ingestTime);
    }
    if (this.#times[row]! < this.#lowest) this.#lowest = Number.NaN;
    this.newest = Math.max(this.newest, this.#reach(row));
    this.oldest = Math.min(this.oldest, ingestTime);
  }

  lowest(floor: number): number {
    // A floor that has risen up to the lowest has left it where it is.
    if (floor >= this.#floor && this.#lowest >= floor) return this.#lowest;
    let lowest = Number.POSITIVE_INFINITY;
    const times = this.#times;
    for (let row = 0; row < times.length; row++) {
      const time = times[row]!;
      if (time >= floor && time < lowest) lowest = time;
    }
    this.#lowest = lowest;
    this.#floor = floor;
    return lowest;
  }

  drop(until: number): void {
    this.#keepAll();
    this.newest = Number.NEGATIVE_INFINITY;
    this.oldest = Number.POSITIVE_INFINITY;
    this.#lowest = Number.NaN;
    for (let row = 0; row < this.#names.length; ) {
      const ingestTime = this.#ingestTimes[row]!;
      if (ingestTime <= until) {
        this.#remove(row);
        continue;
      }
      this.newest = Math.max(this.newest, this.#reach(row));
      this.oldest = Math.min(this.oldest, ingestTime);
      row++;
    }
  }

  *hearings(): Iterable<Hearing> {
    for (const [row, origin] of this.#names.entries()) {
      yield { origin, time: this.#times[row]!, ingestTime: this.#ingestTimes[row]! };
    }
  }

  encode(writer: ByteWriter): void {
    writer.number(this.newest).number(this.oldest).count(this.#names.length);
    for (const { origin, time, ingestTime } of this.hearings()) writer.text(origin).number(time).number(ingestTime);
  }

  static decode(reader: ByteReader): HeardOrigins {
    const heard = new HeardOrigins();
    const newest = reader.number();
    const oldest = reader.number();
    for (let left = reader.count(); left > 0; left--) {
      heard.hear({ origin: reader.text(), time: reader.number(), ingestTime: reader.number() });
    }
    heard.newest = newest;
    heard.oldest = oldest;
    return heard;
  }

  mark(): StoreMark {
    const undo: (() => void)[] = [];
    this.#undo = undo;
    const { newest, oldest } = this;
    const release = (): void => {
      this.#undo = undefined;
    };
    return {
      release,
      undo: () => {
        for (const back of undo.reverse()) back();
        release();
        this.newest = newest;
        this.oldest = oldest;
        this.#lowest = Number.NaN;
      },
    };
  }

  #keep(row: number): void {
    if (this.#undo === undefined) return;
    const [time, ingestTime] = [this.#times[row]!, this.#ingestTimes[row]!];
    this.#undo.push(() => {
      this.#times[row] = time;
      this.#ingestTimes[row] = ingestTime;
    });
  }

  #keepAll(): void {
    if (this.#undo === undefined) return;
    const all = [[...this.#names], [...this.#times], [...this.#ingestTimes]] as const;
    this.#undo.push(() => {
      const [names, times, ingestTimes] = all;
      this.#rows.clear();
      for (const [row, name] of names.entries()) this.#rows.set(name, row);
      this.#names.splice(0, this.#names.length, ...names);
      this.#times.splice(0, this.#times.length, ...times);
      this.#ingestTimes.splice(0, this.#ingestTimes.length, ...ingestTimes);
    });
  }

  #reach(row: number): number {
    return Math.min(this.#times[row]!, this.#ingestTimes[row]!);
  }

  #remove(row: number): void {
    this.#rows.delete(this.#names[row]!);
    const name = this.#names.pop()!;
    const time = this.#times.pop()!;
    const ingestTime = this.#ingestTimes.pop()!;
    if (row === this.#names.length) return;
    this.#names[row] = name;
    this.#times[row] = time;
    this.#ingestTimes[row] = ingestTime;
    this.#rows.set(name, row);
  }
}
