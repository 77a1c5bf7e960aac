import { decodeRecord, encodeRecord, HEADER, schemaOf } from '../events/codec.ts';
import type { DeadLetter, HistorySegment } from '../events/records.ts';
import type { EventLog, LogRecord, OutRecord } from '../log/event-log.ts';
import { outputsOf, outputTopics, type ReplayOptions } from './replay.ts';
import { scan } from './scan.ts';

export interface Difference {
  readonly topic: string;
  readonly partition: number;
  /** Offset in the live topic; −1 where the replay made a record that is not there. */
  readonly offset: number;
  /** Offset of the input record that caused it; of history, which does not tell, undefined. */
  readonly cause: number | undefined;
  /** Fields that differ, or what is missing. */
  readonly what: string;
  readonly live: unknown;
  readonly replayed: unknown;
}

export interface Verification {
  readonly compared: number;
  /** The first difference of each topic and partition; in each partition, what was caused first comes first. */
  readonly differences: readonly Difference[];
  /** Partitions whose input no longer begins at offset 0: what came before is missing from the replay's state. */
  readonly cut: readonly number[];
  /** Outputs of the replay from before what is left on the live topics: not compared. */
  readonly passed: number;
}

/**
 * Replays and compares with what is on the live topics, byte by byte: nothing may differ, be missing, or be there beside.
 * Of the compacted history, the newest record of each key counts. What retention has removed from the live topics is
 * passed over, and so is what the pipeline has written since it had come to `until`.
 * @param until by partition, offset of `readings` up to which the live pipeline has committed
 */
export async function verifyReplay(
  options: ReplayOptions & { readonly until: readonly number[] },
): Promise<Verification> {
  const { log, config, until } = options;
  const { topics } = config;
  const differences: Difference[] = [];
  const cut: number[] = [];
  let compared = 0;
  let passed = 0;
  const { partitions } = (await log.topic(topics.readings))!;
  for (let partition = 0; partition < partitions; partition++) {
    if ((await log.offsets(topics.readings, partition)).earliest > 0) cut.push(partition);
    const end = until[partition] ?? 0;
    const live = new Map<string, LiveReader>();
    const history = new Map<string, OutRecord>();
    for (const topic of outputTopics(config)) {
      if (topic !== topics.history) live.set(topic, new LiveReader(options, topic, partition, end));
    }
    const found: Difference[] = [];
    const broken = new Set<string>();
    for await (const records of outputsOf(options, partition, end)) {
      for (const record of records) {
        if (record.topic === topics.history) {
          history.set(Buffer.from(record.key!).toString(), record);
          continue;
        }
        if (broken.has(record.topic)) continue;
        const difference = await live.get(record.topic)!.compare(record);
        if (difference === 'before') {
          passed++;
          continue;
        }
        compared++;
        if (difference === undefined) continue;
        found.push(difference);
        broken.add(record.topic);
      }
      options.onProgress?.({ partition, partitions, outputs: compared });
    }
    for (const [topic, reader] of live) {
      const more = broken.has(topic) ? undefined : await reader.more();
      if (more !== undefined) found.push(more);
    }
    found.sort((a, b) => a.cause! - b.cause!);
    differences.push(...found);
    const other = await compareHistory(log, topics.history, partition, history);
    compared += history.size;
    if (other !== undefined) differences.push(other);
  }
  return { compared, differences, cut, passed };
}

/** Reads a live topic alongside a replay. */
class LiveReader {
  readonly #options: Pick<ReplayOptions, 'log' | 'config' | 'from' | 'to'>;
  readonly #topic: string;
  readonly #partition: number;
  /** What input from here on has caused is not the replay's. */
  readonly #until: number;
  #begun = false;
  /** There is a record from before the times of the replay: retention has not come to those. */
  #reachesBack = false;
  #records: readonly LogRecord[] = [];
  #at = 0;

  constructor(
    options: Pick<ReplayOptions, 'log' | 'config' | 'from' | 'to'>,
    topic: string,
    partition: number,
    until: number,
  ) {
    this.#options = options;
    this.#topic = topic;
    this.#partition = partition;
    this.#until = until;
  }

  /** `before`: retention has removed it from the live topic. */
  async compare(replayed: OutRecord): Promise<Difference | 'before' | undefined> {
    const live = await this.#take();
    const cause = causeOf(replayed.value!);
    if (live === undefined) {
      if (!this.#begun && !this.#reachesBack && (await this.#isCut())) return 'before';
      return this.#difference(-1, cause, 'the live topic ends before it', null, replayed.value);
    }
    const same =
      sameRecord(live.value, replayed.value) && equal(live.key, replayed.key) && live.timestamp === replayed.timestamp;
    if (!same && !this.#begun) {
      const first = causeOf(live.value!);
      // What one input has caused need not be cut as a whole.
      if (cause < first || (cause === first && (await this.#isCut()))) {
        this.#at--;
        return 'before';
      }
    }
    this.#begun = true;
    if (same) return undefined;
    const what = fieldsThatDiffer(live.value, replayed.value);
    return this.#difference(live.offset, Math.min(cause, causeOf(live.value!)), what, live.value, replayed.value);
  }

  /** A record on the live topic that the replay, which has ended, did not make. */
  async more(): Promise<Difference | undefined> {
    const live = await this.#take();
    if (live === undefined) return undefined;
    return this.#difference(live.offset, causeOf(live.value!), 'the replay does not make it', live.value, null);
  }

  #difference(
    offset: number,
    cause: number,
    what: string,
    live: Uint8Array | null,
    replayed: Uint8Array | null,
  ): Difference {
    const [topic, partition] = [this.#topic, this.#partition];
    return { topic, partition, offset, cause, what, live: read(live), replayed: read(replayed) };
  }

  async #isCut(): Promise<boolean> {
    return (await this.#options.log.offsets(this.#topic, this.#partition)).earliest > 0;
  }

  /** The next record that the pipeline wrote for the input and in the times of the replay. */
  async #take(): Promise<LogRecord | undefined> {
    const { log, from = -Infinity, to = Infinity } = this.#options;
    for (;;) {
      while (this.#at < this.#records.length) {
        const record = this.#records[this.#at++]!;
        if (record.timestamp >= to || !this.#isOwn(record.value!)) continue;
        if (record.timestamp < from) this.#reachesBack = true;
        else if (causeOf(record.value!) < this.#until) return record;
      }
      const { earliest, end } = await log.offsets(this.#topic, this.#partition);
      const next = this.#records.length === 0 ? earliest : this.#records.at(-1)!.offset + 1;
      if (next >= end) return undefined;
      this.#records = (await log.read(this.#topic, this.#partition, next, { maxRecords: 1000 })).records;
      this.#at = 0;
      if (this.#records.length === 0) return undefined;
    }
  }

  /** Dead letters of the bridge lie between those of the pipeline. */
  #isOwn(value: Uint8Array): boolean {
    if (schemaOf(value) !== 'DeadLetter') return true;
    return (decodeRecord(value) as DeadLetter).origin === this.#options.config.topics.readings;
  }
}

async function compareHistory(
  log: EventLog,
  topic: string,
  partition: number,
  replayed: ReadonlyMap<string, OutRecord>,
): Promise<Difference | undefined> {
  const live = new Map<string, LogRecord>();
  // Keys that have been written again since, and by compaction may have lost the record that the replay made.
  const later = new Set<string>();
  const { earliest, end } = await log.offsets(topic, partition);
  for await (const { records } of scan(log, topic, partition, { from: earliest, to: end })) {
    for (const record of records) {
      const key = Buffer.from(record.key!).toString();
      const own = replayed.get(key);
      if (own === undefined) continue;
      if (record.timestamp <= own.timestamp) live.set(key, record);
      else later.add(key);
    }
  }
  for (const [key, record] of replayed) {
    const held = live.get(key);
    if (held === undefined ? later.has(key) : sameSegment(held.value, record.value)) continue;
    const what = held === undefined ? 'the live topic lacks it' : fieldsThatDiffer(held.value, record.value);
    const [offset, cause] = [held?.offset ?? -1, undefined];
    return { topic, partition, offset, cause, what, live: read(held?.value), replayed: read(record.value) };
  }
  return undefined;
}

function read(bytes: Uint8Array | null | undefined): unknown {
  return bytes ? decodeRecord(bytes) : undefined;
}

function fieldsThatDiffer(live: Uint8Array | null, replayed: Uint8Array | null): string {
  if (live === null || replayed === null) return 'one of the two is a tombstone';
  const one = decodeRecord(live) as unknown as Record<string, unknown>;
  const other = decodeRecord(replayed) as unknown as Record<string, unknown>;
  const fields = Object.keys(one).filter((field) => JSON.stringify(one[field]) !== JSON.stringify(other[field]));
  if (fields.includes('arithmetic'))
    return `made with version ${one['arithmetic']} of the arithmetic, this is ${other['arithmetic']}`;
  return fields.length > 0 ? `differs in ${fields.join(', ')}` : 'differs in key or timestamp';
}

function causeOf(value: Uint8Array): number {
  const record = decodeRecord(value);
  if (record.type === 'DeadLetter') return record.offset;
  return 'inputOffset' in record ? record.inputOffset : 0;
}

/** Bytes that an earlier version of the program wrote are compared as what they say in today's schema. */
function sameRecord(live: Uint8Array | null, replayed: Uint8Array | null): boolean {
  if (equal(live, replayed)) return true;
  if (live === null || replayed === null || equal(live.subarray(0, HEADER), replayed.subarray(0, HEADER))) return false;
  return schemaOf(live) === schemaOf(replayed) && equal(encodeRecord(decodeRecord(live)), replayed);
}

/** State of a version that did not remember corrections knows of fewer than a replay from the start. */
function sameSegment(live: Uint8Array | null, replayed: Uint8Array | null): boolean {
  if (sameRecord(live, replayed)) return true;
  if (live === null || replayed === null) return false;
  const [held, own] = [decodeRecord(live), decodeRecord(replayed)];
  if (held.type !== 'HistorySegment' || own.type !== 'HistorySegment') return false;
  const isEarlier = !equal(live.subarray(0, HEADER), replayed.subarray(0, HEADER));
  if (!isEarlier && (held.exactFrom ?? 0) === 0) return false;
  const bare = (segment: HistorySegment) => encodeRecord({ ...segment, replaced: [], exactFrom: 0 });
  return equal(bare(held), bare(own));
}

function equal(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}
