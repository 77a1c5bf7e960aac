import type { DeadLetter } from '../../events/records.ts';
import type { EventLog, OutRecord } from '../../log/event-log.ts';
import { parseTopicFilter, type TopicFilter } from '../mapping/topic-filter.ts';
import { OpenLetters, type Range } from './open-letters.ts';

/** Which letters a replay is about; all of them where nothing is said. */
export interface Selection {
  readonly reasons?: readonly string[];
  readonly mqttTopic?: string;
}

/** Keys of the bridge's memory topic that begin so are none of the mapping's. */
export const DONE_KEY = 'dead-letter-replay/';

interface Done {
  readonly selection: Selection;
  readonly covers: (letter: DeadLetter) => boolean;
  /** Letters before it have been put through. */
  readonly next: number;
}

interface Stored {
  readonly done: readonly [Selection, number][];
  readonly open: readonly Range[];
}

/**
 * How far replays of a selection have come in a partition of the dead letters, kept on the bridge's memory topic: what
 * one replay has put through, another one leaves alone, however either was chosen. What was still bad is open, and
 * tried again by each.
 */
export class DoneLetters {
  readonly #key: string;
  #open = new OpenLetters();
  #done: Done[] = [];
  #again = false;

  constructor(deadLetters: string, partition: number) {
    this.#key = `${DONE_KEY}${deadLetters}/${partition}`;
  }

  /** Takes the newest record of the partition; a damaged one counts as none. */
  async read(log: EventLog, topic: string): Promise<void> {
    const { earliest, end } = await log.offsets(topic, 0);
    let newest: Uint8Array | null = null;
    for (let offset = earliest; offset < end; ) {
      const batch = await log.read(topic, 0, offset, { maxRecords: 1000 });
      for (const { key, value } of batch.records) {
        if (key !== null && Buffer.from(key).toString() === this.#key) newest = value;
      }
      if (batch.nextOffset === offset) break;
      offset = batch.nextOffset;
    }
    if (newest === null) return;
    try {
      const stored = JSON.parse(Buffer.from(newest).toString()) as Stored | Stored['done'];
      // Earlier versions kept no letters open.
      const { done, open } = 'open' in stored ? stored : { done: stored, open: [] };
      this.#done = done.map(([selection, next]) => ({ selection, covers: coverOf(selection), next }));
      this.#open = new OpenLetters(open);
    } catch {
      this.#done = [];
      this.#open = new OpenLetters();
    }
  }

  /** For another round of a selection, or of all letters; what others have done stays on record. */
  beginAgain(selection: Selection | undefined): void {
    this.#again = true;
    if (selection === undefined) this.#open = new OpenLetters();
    const text = JSON.stringify(selection);
    this.#done = this.#done.filter((one) => JSON.stringify(one.selection) !== text);
  }

  get open(): OpenLetters {
    return this.#open;
  }

  /**
   * Whether an earlier replay has put the letter through.
   * @param whole how far replays of all letters have come
   */
  has(letter: DeadLetter, offset: number, whole: number): boolean {
    if (this.#open.has(offset)) return false;
    return offset < whole || (!this.#again && this.#done.some(({ covers, next }) => offset < next && covers(letter)));
  }

  /**
   * The record that keeps how far a selection has come, or all letters, and what is open.
   * @param whole how far replays of all letters have come: what others remember of before is left out
   */
  record(topic: string, selection: Selection | undefined, next: number, whole: number, timestamp: number): OutRecord {
    const text = JSON.stringify(selection);
    const others = this.#done.filter((one) => one.next > whole && JSON.stringify(one.selection) !== text);
    const own = this.#done.find((one) => JSON.stringify(one.selection) === text);
    this.#done =
      selection === undefined
        ? others
        : [...others, { selection, covers: coverOf(selection), next: Math.max(next, own?.next ?? 0) }];
    const stored: Stored = { done: this.#done.map((one) => [one.selection, one.next]), open: this.#open.ranges };
    return {
      topic,
      partition: 0,
      timestamp,
      key: Buffer.from(this.#key),
      value: Buffer.from(JSON.stringify(stored)),
    };
  }
}

/** @throws CONFIG_INVALID for a filter that is none */
export function coverOf({ reasons, mqttTopic }: Selection): (letter: DeadLetter) => boolean {
  const filter: TopicFilter | undefined = mqttTopic === undefined ? undefined : parseTopicFilter(mqttTopic);
  return (letter) =>
    (reasons === undefined || reasons.includes(letter.reason)) &&
    (filter === undefined || filter.match(letter.mqttTopic) !== undefined);
}
