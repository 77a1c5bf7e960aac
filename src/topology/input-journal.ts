import { encodeRecord } from '../events/codec.ts';
import type { StateSnapshot } from '../events/records.ts';
import type { OutRecord } from '../log/event-log.ts';
import type { StatePlace } from './state-topic.ts';

/** A stretch of one input partition: from ≤ offset < to. */
export interface InputRun {
  readonly source: number;
  readonly from: number;
  readonly to: number;
}

/** What one commit has taken in, in order. */
export interface JournalEntry {
  /** Place in the task's input sequence where it begins. */
  readonly base: number;
  readonly runs: readonly InputRun[];
}

/**
 * How the inputs of a task with several sources were interleaved. A replay must take them in the same order, so each
 * commit writes it down; entries that no restore can need any more get a tombstone. A task with one source needs no
 * journal: its input sequence is the partition itself.
 */
export class InputJournal {
  readonly #place: StatePlace;
  readonly #topics: readonly string[];
  readonly #byBase = new Map<number, JournalEntry>();
  /** In the order of their bases from `#first` on; undefined until somebody asks. */
  #sorted: JournalEntry[] | undefined;
  #first = 0;
  /** Was made up and is not on the log yet. */
  #adopted: JournalEntry | undefined;

  constructor(place: StatePlace, topics: readonly string[]) {
    this.#place = place;
    this.#topics = topics;
  }

  get empty(): boolean {
    return this.#byBase.size === 0;
  }

  /** In the order of the sequence. */
  get entries(): readonly JournalEntry[] {
    return this.#inOrder().slice(this.#first);
  }

  #inOrder(): JournalEntry[] {
    if (this.#sorted === undefined) {
      this.#sorted = [...this.#byBase.values()].sort((a, b) => a.base - b.base);
      this.#first = 0;
    }
    return this.#sorted;
  }

  /** Where the sequence goes on: after the last entry. */
  get end(): number {
    const last = this.#byBase.size === 0 ? undefined : this.#inOrder().at(-1);
    return last === undefined ? 0 : last.base + lengthOf(last);
  }

  /** Offset of a source where its last run ends; undefined where no entry has one. */
  endOf(source: number): number | undefined {
    const entries = this.#inOrder();
    for (let i = entries.length - 1; i >= this.#first; i--) {
      const run = entries[i]!.runs.findLast((each) => each.source === source);
      if (run !== undefined) return run.to;
    }
    return undefined;
  }

  /** First offset of a source that is not before a place in the sequence; undefined for none. */
  startOf(source: number, place: number): number | undefined {
    const entries = this.#inOrder();
    for (let i = this.#first; i < entries.length; i++) {
      let { base } = entries[i]!;
      for (const { source: of, from, to } of entries[i]!.runs) {
        // A place within an entry: of one that was adopted, the sweep has a cycle that began there.
        if (of === source && base + to - from > place) return Math.max(from, from + place - base);
        base += to - from;
      }
    }
    return undefined;
  }

  /**
   * An entry as it is read from the state topic, in any order; undefined value for a tombstone. A run of a topic that no
   * source reads any more has −1 for its source.
   */
  restore(base: number, snapshot: StateSnapshot | undefined): void {
    this.#sorted = undefined;
    if (snapshot === undefined) {
      this.#byBase.delete(base);
      return;
    }
    const runs = storedRuns(snapshot).map(({ topic, from, to }) => ({ source: this.#topics.indexOf(topic), from, to }));
    this.#byBase.set(base, { base, runs });
  }

  /**
   * The task had one source before, and its sequence was that partition: what a restore needs of it becomes the first
   * entry, written with the next commit.
   */
  adopt(source: number, from: number, to: number): void {
    this.#adopted = { base: from, runs: [{ source, from, to }] };
    this.#byBase.clear();
    this.#byBase.set(from, this.#adopted);
    this.#sorted = undefined;
  }

  /**
   * Records to write with a commit.
   * @param needless entries that end at or before this place in the sequence are not needed any more.
   */
  append(entry: JournalEntry, needless: number, timestamp: number): OutRecord[] {
    const entries = this.#inOrder();
    const gone: JournalEntry[] = [];
    for (; this.#first < entries.length; this.#first++) {
      const oldest = entries[this.#first]!;
      if (oldest.base + lengthOf(oldest) - 1 > needless) break;
      gone.push(oldest);
      this.#byBase.delete(oldest.base);
    }
    entries.push(entry);
    this.#byBase.set(entry.base, entry);
    if (this.#first > entries.length / 2) {
      entries.splice(0, this.#first);
      this.#first = 0;
    }
    const written = this.#adopted === undefined ? [entry] : [this.#adopted, entry];
    this.#adopted = undefined;
    return [
      ...written.map((one) => this.#write(one, timestamp)),
      ...gone.map(({ base }) => this.#record(base, null, timestamp)),
    ];
  }

  #write(entry: JournalEntry, timestamp: number): OutRecord {
    // Of one source each run begins where the one before it ended.
    const sources = [...new Set(entry.runs.map(({ source }) => source))];
    const runs: StoredRuns = {
      topics: sources.map((source) => this.#topics[source]!),
      from: sources.map((source) => entry.runs.find((run) => run.source === source)!.from),
      runs: entry.runs.flatMap(({ source, from, to }) => [sources.indexOf(source), to - from]),
    };
    const snapshot: StateSnapshot = {
      type: 'StateSnapshot',
      task: this.#place.task,
      key: '',
      offset: entry.base + lengthOf(entry) - 1,
      stores: { [RUNS]: Buffer.from(JSON.stringify(runs)) },
    };
    return this.#record(entry.base, encodeRecord(snapshot), timestamp);
  }

  #record(base: number, value: Uint8Array | null, timestamp: number): OutRecord {
    const { topic, partition } = this.#place;
    return { topic, partition, timestamp, key: Buffer.from(`${journalPrefix(this.#place)}${base}`, 'utf8'), value };
  }
}

/** Keys of a task's journal on the state topic; those of its snapshots have a slash after the task's name. */
export function journalPrefix(place: StatePlace): string {
  return `${place.task}#inputs/`;
}

/** Input records (and holes between them) that an entry covers. */
export function lengthOf(entry: JournalEntry): number {
  return entry.runs.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Inputs that alternate record by record make as many runs as records: hence no more than two numbers for each. */
interface StoredRuns {
  readonly topics: readonly string[];
  /** By topic: offset where its first run begins. */
  readonly from: readonly number[];
  /** Index of the topic and length, run by run. */
  readonly runs: readonly number[];
}

/** A stretch of a topic's partition: from ≤ offset < to. */
export interface TopicRun {
  readonly topic: string;
  readonly from: number;
  readonly to: number;
}

/** What a journal entry on the state topic says; an earlier form, a list of runs, is read as well. */
export function storedRuns(snapshot: StateSnapshot): TopicRun[] {
  const stored = JSON.parse(Buffer.from(snapshot.stores[RUNS]!).toString('utf8')) as StoredRuns | TopicRun[];
  if (Array.isArray(stored)) return stored;
  const next = [...stored.from];
  const runs: TopicRun[] = [];
  for (let i = 0; i < stored.runs.length; i += 2) {
    const index = stored.runs[i]!;
    const from = next[index]!;
    const to = from + stored.runs[i + 1]!;
    next[index] = to;
    runs.push({ topic: stored.topics[index]!, from, to });
  }
  return runs;
}

const RUNS = 'runs';
