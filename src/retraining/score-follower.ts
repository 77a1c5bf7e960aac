import { decode } from '../events/codec.ts';
import type { Score } from '../events/records.ts';
import type { EventLog } from '../log/event-log.ts';
import { scan } from './scan.ts';

/** Reads the scores from given offsets on, as they come. */
export class ScoreFollower {
  readonly #log: EventLog;
  readonly #topic: string;
  readonly #next: number[];
  readonly #visit: (score: Score) => void;

  /** @param from offset by partition; the earliest where left out */
  constructor(log: EventLog, topic: string, from: readonly number[], visit: (score: Score) => void) {
    this.#log = log;
    this.#topic = topic;
    this.#next = [...from];
    this.#visit = visit;
  }

  /** @returns how many scores were new */
  async advance(signal?: AbortSignal): Promise<number> {
    const partitions = (await this.#log.topic(this.#topic))?.partitions ?? 0;
    let count = 0;
    for (let partition = 0; partition < partitions; partition++) {
      const { earliest, end } = await this.#log.offsets(this.#topic, partition);
      const from = Math.max(this.#next[partition] ?? earliest, earliest);
      for await (const { records, nextOffset } of scan(this.#log, this.#topic, partition, { from, to: end }, signal)) {
        for (const { value } of records) {
          if (value === null) continue;
          this.#visit(decode<Score>('Score', value));
          count++;
        }
        this.#next[partition] = nextOffset;
      }
    }
    return count;
  }
}

/** The end offset of every partition of a topic; empty where there is no such topic. */
export async function endOffsets(log: EventLog, topic: string): Promise<number[]> {
  const partitions = (await log.topic(topic))?.partitions ?? 0;
  return Promise.all(Array.from({ length: partitions }, async (_, p) => (await log.offsets(topic, p)).end));
}

/** Enough of a partition's newest scores that one device which delivers late does not fill them. */
const NEWEST = 500;

/** The newest event time among the last scores before the given offsets; undefined where there are none. */
export async function newestScored(log: EventLog, topic: string, ends: readonly number[]): Promise<number | undefined> {
  let newest: number | undefined;
  for (const [partition, to] of ends.entries()) {
    const { earliest } = await log.offsets(topic, partition);
    const range = { from: Math.max(earliest, to - NEWEST), to };
    for await (const { records } of scan(log, topic, partition, range)) {
      for (const { value } of records) {
        if (value !== null) newest = Math.max(newest ?? 0, decode<Score>('Score', value).time);
      }
    }
  }
  return newest;
}
