import type { ByteReader, ByteWriter } from '../../operators/binary.ts';
import type { StoreMark } from '../../state/store.ts';
import type { Heard, Hearing } from './heard.ts';

/** Slices of the quiet time: what is heard is held that much longer than it need be. */
const SLICES = 8;

interface Slice {
  /** Number of the slice: its ingest times are from at × width on. */
  readonly at: number;
  lowest: number;
  newest: number;
}

/**
 * For a key of very many origins: of all records that came in lately the lowest event time. Each origin that has not
 * gone quiet has one among them, at or before its own latest; so the result is never later than that of
 * {@link HeardOrigins}, and behind it by the quiet time and an eighth at most. Takes the room of nine slices.
 */
export class HeardSlices implements Heard {
  readonly #width: number;
  #slices: Slice[] = [];

  /** @param idleMs for how long an origin counts after it was heard. */
  constructor(idleMs: number) {
    this.#width = Math.max(1, Math.ceil(idleMs / SLICES));
  }

  get empty(): boolean {
    return this.#slices.length === 0;
  }

  get newest(): number {
    return this.#slices.reduce((newest, slice) => Math.max(newest, slice.newest), Number.NEGATIVE_INFINITY);
  }

  get oldest(): number {
    return this.#slices.reduce((oldest, slice) => Math.min(oldest, this.#endOf(slice)), Number.POSITIVE_INFINITY);
  }

  hear({ time, ingestTime }: Hearing, floor: number): void {
    if (time < floor) return;
    const at = Number.isFinite(this.#width) ? Math.floor(ingestTime / this.#width) : 0;
    const newest = Math.min(time, ingestTime);
    const slice = this.#slices.find((known) => known.at === at);
    if (slice === undefined) {
      this.#slices.push({ at, lowest: time, newest });
      return;
    }
    slice.lowest = Math.min(slice.lowest, time);
    slice.newest = Math.max(slice.newest, newest);
  }

  lowest(floor: number): number {
    // Beside one that has fallen behind the floor, a slice can hold others that have not.
    const lowest = this.#slices.reduce((least, slice) => Math.min(least, slice.lowest), Number.POSITIVE_INFINITY);
    return Math.max(lowest, floor);
  }

  drop(until: number): void {
    this.#slices = this.#slices.filter((slice) => this.#endOf(slice) > until);
  }

  mark(): StoreMark {
    const slices = this.#slices.map((slice) => ({ ...slice }));
    return {
      release: () => {},
      undo: () => {
        this.#slices = slices;
      },
    };
  }

  encode(writer: ByteWriter): void {
    writer.number(this.#width).count(this.#slices.length);
    for (const { at, lowest, newest } of this.#slices) writer.number(at).number(lowest).number(newest);
  }

  static decode(reader: ByteReader): HeardSlices {
    const heard = new HeardSlices(reader.number() * SLICES);
    heard.#slices = Array.from({ length: reader.count() }, () => {
      return { at: reader.number(), lowest: reader.number(), newest: reader.number() };
    });
    return heard;
  }

  /** The latest ingest time that it can hold. */
  #endOf({ at }: Slice): number {
    return (at + 1) * this.#width - 1;
  }
}
