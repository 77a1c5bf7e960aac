import { hash } from 'node:crypto';
import { decode, decodeRecord, encodeRecord, schemaOf } from '../../events/codec.ts';
import type { DeadLetter, Reading } from '../../events/records.ts';
import type { OutRecord } from '../../log/event-log.ts';
import { partitionFor } from '../../log/partitioner.ts';
import type { Mapping } from '../mapping/mapping.ts';
import type { Rejected } from '../mapping/part.ts';
import type { Command, MemoryRecord } from '../sparkplug/host.ts';
import type { Message } from './deferred-acks.ts';
import { LetterBudget } from './letter-budget.ts';

export interface RecordTopics {
  readonly readings: { readonly name: string; readonly partitions: number };
  readonly deadLetters: { readonly name: string; readonly partitions: number };
  /** Compacted: what the mapping must know again after a restart. Without it that is forgotten. */
  readonly memory?: { readonly name: string; readonly partitions: number };
}

/** The first part of a message that was refused for a reason, and how many there are. */
interface FirstOfReason {
  readonly message: string;
  readonly device: string;
  /** Of the payload that are kept; undefined where nothing is. */
  readonly bytes: number | undefined;
  count: number;
}

const NONE: readonly Command[] = [];

/** Messages to the records of the log, with the counts of what was kept, dead-lettered and dropped. */
export class RecordMaker {
  readonly deadLetters = new Map<string, number>();
  readonly dropped = new Map<string, number>();
  readings = 0;
  readonly #mapping: Mapping;
  readonly #topics: RecordTopics;
  readonly #maxDeadLetterBytes: number;
  readonly #budget: LetterBudget;
  readonly #commands: Command[] = [];
  readonly #partitions = new Map<string, { readonly key: Buffer; readonly partition: number }>();

  /**
   * @param maxDeadLetterBytes most of a payload that a dead letter keeps
   * @param letterBytesPerHour most that one MQTT topic may put into the dead letters in an hour, see {@link LetterBudget}
   */
  constructor(
    mapping: Mapping,
    topics: RecordTopics,
    maxDeadLetterBytes: number,
    letterBytesPerHour = Number.POSITIVE_INFINITY,
  ) {
    this.#budget = new LetterBudget(letterBytesPerHour);
    this.#mapping = mapping;
    this.#topics = topics;
    this.#maxDeadLetterBytes = maxDeadLetterBytes;
  }

  /**
   * @param ingest when the message was taken; the timestamp of its records.
   * @param print fingerprint of the message; without one it has no packet identifier.
   */
  make(message: Message, ingest: number, print = fingerprint(message, 0)): readonly OutRecord[] {
    const mapped = this.#mapping.map(message.topic, message.payload, ingest);
    const { readings, rejected, memory = [], commands = [] } = mapped;
    this.#commands.push(...commands);
    const records: OutRecord[] = [];
    readings.forEach((reading, i) => {
      const { key, partition } = this.#place(reading.device);
      records.push({
        topic: this.#topics.readings.name,
        partition,
        timestamp: ingest,
        key,
        value: encodeRecord({
          type: 'Reading',
          ...reading,
          retained: message.retained,
          redelivered: message.duplicate,
          fingerprint: i === 0 ? print : partPrint(print, i),
        }),
      });
    });
    this.readings += readings.length;
    if (this.#topics.memory !== undefined) {
      for (const each of memory) records.push(this.#memoryRecord(this.#topics.memory, each, ingest));
    }
    if (rejected.length === 0) return records;

    // A batch may be bad in thousands of parts: its payload is kept once for each reason.
    const first = new Map<string, FirstOfReason>();
    for (const each of rejected) {
      const kept = this.#mapping.policy(each.reason) === 'dead-letter' && this.#room(message, ingest, each, first);
      const counts = kept ? this.deadLetters : this.dropped;
      counts.set(each.reason, (counts.get(each.reason) ?? 0) + 1);
    }
    for (const [reason, { message: text, device, count, bytes }] of first) {
      if (bytes === undefined) continue;
      const more = count === 1 ? '' : ` (and ${count - 1} more parts)`;
      records.push(this.#deadLetter(message, ingest, reason, `${text}${more}`, device, bytes));
    }
    return records;
  }

  /** Whether there is to be a letter of this reason for the message; decided at its first part that has it. */
  #room(message: Message, ingest: number, part: Rejected, first: Map<string, FirstOfReason>): boolean {
    let known = first.get(part.reason);
    if (known === undefined) {
      const wanted = Math.min(message.payload.length, this.#maxDeadLetterBytes);
      const bytes = this.#budget.take(message.topic, wanted, ingest);
      known = { message: part.message, device: part.device, count: 0, bytes };
      first.set(part.reason, known);
    }
    known.count++;
    return known.bytes !== undefined;
  }

  /** What devices are to be told because of the messages since the last call. */
  takeCommands(): readonly Command[] {
    return this.#commands.length === 0 ? NONE : this.#commands.splice(0);
  }

  /** Time itself, for every partition. */
  ticks(time: number): readonly OutRecord[] {
    const value = encodeRecord({ type: 'Tick', time });
    const { name, partitions } = this.#topics.readings;
    return Array.from({ length: partitions }, (_, partition) => ({
      topic: name,
      partition,
      timestamp: time,
      key: null,
      value,
    }));
  }

  #memoryRecord(topic: NonNullable<RecordTopics['memory']>, { key, value }: MemoryRecord, time: number): OutRecord {
    const bytes = Buffer.from(key);
    const partition = partitionFor(bytes, topic.partitions);
    return { topic: topic.name, partition, timestamp: time, key: bytes, value };
  }

  #deadLetter(
    received: Message,
    ingest: number,
    reason: string,
    message: string,
    device: string,
    bytes: number,
  ): OutRecord {
    const whole = received.payload.length <= bytes;
    const payload = whole ? received.payload : received.payload.subarray(0, bytes);
    const cut = whole ? '' : `; only the first ${payload.length} of ${received.payload.length} bytes are kept`;
    return this.#letterRecord(received.topic, {
      type: 'DeadLetter',
      reason,
      message: `${message}${cut}`,
      time: ingest,
      origin: 'mqtt',
      mqttTopic: received.topic,
      partition: -1,
      offset: -1,
      device,
      payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
      cutFrom: whole ? 0 : received.payload.length,
    });
  }

  #letterRecord(source: string, letter: DeadLetter): OutRecord {
    const key = Buffer.from(source);
    return {
      topic: this.#topics.deadLetters.name,
      partition: partitionFor(key, this.#topics.deadLetters.partitions),
      timestamp: letter.time,
      key,
      value: encodeRecord(letter),
    };
  }

  /** Key and partition of a device, remembered up to a bound. */
  #place(device: string): { readonly key: Buffer; readonly partition: number } {
    const known = this.#partitions.get(device);
    if (known !== undefined) return known;
    const key = Buffer.from(device);
    const place = { key, partition: partitionFor(key, this.#topics.readings.partitions) };
    if (this.#partitions.size >= 50_000) this.#partitions.clear();
    this.#partitions.set(device, place);
    return place;
  }
}

/**
 * 12 hex digits of content (SHA-256 of topic and payload) and 4 of the packet identifier: the same for a redelivered
 * message, which keeps its identifier, and different for different ones, also where a sensor says the same again and
 * again. Of the readings of one message the first has it; the others have the hash of it and their place.
 *
 * @param packet 0 where there is none that a repetition would have too: then the content alone counts.
 */
export function fingerprint({ topic, payload }: Pick<Message, 'topic' | 'payload'>, packet: number): string {
  const length = Buffer.byteLength(topic);
  const bytes = Buffer.allocUnsafe(length + payload.length);
  bytes.write(topic, 0);
  bytes.set(payload, length);
  return digest(bytes) + (0x10000 + packet).toString(16).slice(1);
}

function partPrint(print: string, part: number): string {
  return digest(`${print.slice(0, CONTENT)}#${part}`) + print.slice(CONTENT);
}

const CONTENT = 12;

function digest(of: string | Buffer): string {
  return hash('sha256', of, 'hex').slice(0, CONTENT);
}

/** A reading that may be on the log already: downstream tells by the fingerprint. */
export function asRedelivered(record: OutRecord): OutRecord {
  if (record.value === null || schemaOf(record.value) !== 'Reading') return record;
  const reading = decodeRecord(record.value) as Reading;
  return reading.redelivered ? record : { ...record, value: encodeRecord({ ...reading, redelivered: true }) };
}

/** For a log that takes no record of this size: the dead letter with the beginning of its payload. */
export function smallerDeadLetter(record: OutRecord): OutRecord | undefined {
  if (record.value === null || schemaOf(record.value) !== 'DeadLetter') return undefined;
  const letter = decode<Omit<DeadLetter, 'type'>>('DeadLetter', record.value);
  if (letter.payload.length === 0) return undefined;
  const payload = letter.payload.subarray(0, letter.payload.length >> 2);
  const message = `${letter.message}; the log took only the first ${payload.length} bytes`;
  const cutFrom = letter.cutFrom || letter.payload.length;
  return { ...record, value: encodeRecord({ type: 'DeadLetter', ...letter, message, payload, cutFrom }) };
}
