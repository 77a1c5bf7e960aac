import { HEADER, headerFor, learnSchema, writerOf } from '../../events/codec.ts';
import { schemaText } from '../../events/schema-registry.ts';
import type { EventLog, TopicSpec } from '../event-log.ts';
import type { TopicRecords, WireFormat } from './wire-format.ts';

/** First byte of single-object encoding. */
const MARKER = 0xc3;
/** A fingerprint that the topic does not have is looked for again after so long. */
const AGAIN_MS = 1000;

export function schemasTopicSpec(name: string): TopicSpec {
  return { name, partitions: 1, cleanup: 'compact' };
}

/**
 * Single-object encoding with the schemas on a compacted topic: key the fingerprint as in the records (16 hex digits),
 * value the schema as JSON. So a consumer needs no registry, and an earlier version of this program reads what a later
 * one has written.
 */
export class SchemasTopicFormat implements WireFormat {
  readonly #log: EventLog;
  readonly #topic: string;
  readonly #topics: TopicRecords;
  readonly #published = new Set<string>();
  /** Fingerprints that nobody knows, and when that was found. */
  readonly #unknown = new Map<string, number>();
  #next = 0;
  /** Headers that need no further look: records come in rows of one type. */
  #lastWritten: Uint8Array = new Uint8Array(0);
  #lastRead: Uint8Array = new Uint8Array(0);

  constructor(log: EventLog, topic: string, topics: TopicRecords) {
    this.#log = log;
    this.#topic = topic;
    this.#topics = topics;
  }

  write(topic: string, value: Uint8Array): Uint8Array | undefined {
    if (sameHeader(value, this.#lastWritten) || !this.#topics.has(topic)) return value;
    if (value.length < HEADER || value[0] !== MARKER) return value;
    if (this.#published.has(mark(value))) {
      this.#lastWritten = new Uint8Array(value.subarray(0, HEADER));
      return value;
    }
    return writerOf(value) === undefined ? value : undefined;
  }

  async prepareWrite(_topic: string, value: Uint8Array): Promise<void> {
    await this.#publish([{ fingerprint: mark(value), text: writerOf(value)!.text }]);
  }

  read(topic: string, value: Uint8Array): Uint8Array | undefined {
    if (sameHeader(value, this.#lastRead)) return value;
    if (value.length < HEADER || value[0] !== MARKER || !this.#topics.has(topic)) return value;
    if (writerOf(value) !== undefined) {
      this.#lastRead = new Uint8Array(value.subarray(0, HEADER));
      return value;
    }
    const since = this.#unknown.get(mark(value));
    return since !== undefined && performance.now() - since < AGAIN_MS ? value : undefined;
  }

  async prepareRead(_topic: string, value: Uint8Array): Promise<void> {
    await this.#catchUp();
    if (writerOf(value) === undefined) this.#unknown.set(mark(value), performance.now());
  }

  async announce(topics: readonly string[]): Promise<void> {
    const names = new Set(topics.flatMap((topic) => this.#topics.get(topic) ?? []));
    if (names.size === 0) return;
    await this.#publish([...names].map((name) => ({ fingerprint: mark(headerFor(name)), text: schemaText(name) })));
  }

  /** Appends what the topic does not have yet. Two processes that do so at once leave a schema twice, until compaction. */
  async #publish(schemas: readonly { readonly fingerprint: string; readonly text: string }[]): Promise<void> {
    const missing = () => schemas.filter(({ fingerprint }) => !this.#published.has(fingerprint));
    if (missing().length === 0) return;
    await this.#log.ensureTopics([schemasTopicSpec(this.#topic)]);
    await this.#catchUp();
    const records = missing().map(({ fingerprint, text }) => ({
      topic: this.#topic,
      partition: 0,
      timestamp: Date.now(),
      key: Buffer.from(fingerprint),
      value: Buffer.from(text),
    }));
    if (records.length > 0) await this.#log.append(records);
    for (const { fingerprint } of schemas) this.#published.add(fingerprint);
  }

  /** Reads what has come since the last time. */
  async #catchUp(): Promise<void> {
    if ((await this.#log.topic(this.#topic)) === undefined) return;
    const { earliest, end } = await this.#log.offsets(this.#topic, 0);
    this.#next = Math.max(this.#next, earliest);
    while (this.#next < end) {
      const batch = await this.#log.read(this.#topic, 0, this.#next);
      for (const { key, value } of batch.records) {
        if (key === null || value === null) continue;
        this.#published.add(Buffer.from(key).toString('utf8'));
        learnSchema(Buffer.from(value).toString('utf8'));
      }
      if (batch.nextOffset <= this.#next) return;
      this.#next = batch.nextOffset;
    }
  }
}

function sameHeader(value: Uint8Array, header: Uint8Array): boolean {
  if (header.length === 0 || value.length < HEADER) return false;
  for (let i = 0; i < HEADER; i++) if (value[i] !== header[i]) return false;
  return true;
}

/** The fingerprint in a header, as 16 hex digits. */
function mark(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset + 2, HEADER - 2).toString('hex');
}
