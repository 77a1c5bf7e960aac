import { FleetcastError } from '../../errors.ts';
import { HEADER, learnSchema, writerOf } from '../../events/codec.ts';
import { type SchemaName, schemaText } from '../../events/schema-registry.ts';
import type { RegistryClient } from './registry-client.ts';
import type { TopicRecords, WireFormat } from './wire-format.ts';

/**
 * How the subjects of a registry are named: after the topic (`TOPIC-value`), the record (`fleetcast.Forecast`) or both
 * (`TOPIC-fleetcast.Forecast`), as Confluent's strategies do.
 */
export type SubjectNaming = 'topic' | 'record' | 'topic-record';

/** First byte of single-object encoding. */
const MARKER = 0xc3;
const MAGIC = 0;
const PREFIX = 5;

/**
 * Confluent's wire format: a zero byte, the schema's id in the registry as four bytes big endian, the Avro binary. Only
 * what stands before the Avro binary differs from single-object encoding, so nothing is decoded. What a topic held in
 * single-object encoding before a registry was configured can still be read.
 */
export class ConfluentFormat implements WireFormat {
  readonly #registry: RegistryClient;
  readonly #topics: TopicRecords;
  readonly #naming: SubjectNaming;
  readonly #register: boolean;
  /** Id by topic and fingerprint. */
  readonly #ids = new Map<string, Map<string, number>>();
  /** What records of an id begin with inside; null where the id's schema is none of ours. */
  readonly #headers = new Map<number, Buffer | null>();

  /** @param register false: schemas are only looked up, for registries that people write to. */
  constructor(registry: RegistryClient, topics: TopicRecords, naming: SubjectNaming = 'topic', register = true) {
    this.#registry = registry;
    this.#topics = topics;
    this.#naming = naming;
    this.#register = register;
    for (const topic of topics.keys()) this.#ids.set(topic, new Map());
  }

  write(topic: string, value: Uint8Array): Uint8Array | undefined {
    const ids = this.#ids.get(topic);
    if (ids === undefined || value.length < HEADER || value[0] !== MARKER) return value;
    const id = ids.get(mark(value));
    if (id === undefined) return writerOf(value) === undefined ? value : undefined;
    const framed = Buffer.allocUnsafe(PREFIX + value.length - HEADER);
    framed[0] = MAGIC;
    framed.writeUInt32BE(id, 1);
    framed.set(value.subarray(HEADER), PREFIX);
    return framed;
  }

  async prepareWrite(topic: string, value: Uint8Array): Promise<void> {
    const { name, text } = writerOf(value)!;
    this.#ids.get(topic)!.set(mark(value), await this.#idOf(topic, name, text));
  }

  read(topic: string, value: Uint8Array): Uint8Array | undefined {
    if (value.length < PREFIX || value[0] !== MAGIC || !this.#ids.has(topic)) return value;
    const header = this.#headers.get(idIn(value));
    if (header === undefined) return undefined;
    if (header === null) return value;
    const inside = Buffer.allocUnsafe(HEADER + value.length - PREFIX);
    inside.set(header);
    inside.set(value.subarray(PREFIX), HEADER);
    return inside;
  }

  async prepareRead(_topic: string, value: Uint8Array): Promise<void> {
    const id = idIn(value);
    const text = await this.#registry.schema(id);
    this.#headers.set(id, (text === undefined ? undefined : learnSchema(text)) ?? null);
  }

  async announce(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      for (const name of this.#topics.get(topic) ?? []) {
        const text = schemaText(name);
        const header = learnSchema(text)!;
        this.#ids.get(topic)!.set(mark(header), await this.#idOf(topic, name, text));
      }
    }
  }

  /** The subject of a record type on a topic: a topic of several types cannot be one subject. */
  subject(topic: string, name: SchemaName): string {
    const record = `fleetcast.${name}`;
    if (this.#naming === 'record') return record;
    if (this.#naming === 'topic-record') return `${topic}-${record}`;
    return (this.#topics.get(topic)?.length ?? 0) > 1 ? record : `${topic}-value`;
  }

  async #idOf(topic: string, name: SchemaName, text: string): Promise<number> {
    const subject = this.subject(topic, name);
    const id = this.#register ? await this.#registry.register(subject, text) : await this.#registry.find(subject, text);
    if (id === undefined) {
      throw new FleetcastError(
        'REGISTRY_REFUSED',
        `subject ${subject} has no schema equal to ${name} of this version, and registering is switched off`,
        { details: { subject } },
      );
    }
    // What this process has written it can read without asking.
    this.#headers.set(id, learnSchema(text)!);
    return id;
  }
}

function mark(value: Uint8Array): string {
  return String.fromCharCode(value[2]!, value[3]!, value[4]!, value[5]!, value[6]!, value[7]!, value[8]!, value[9]!);
}

function idIn(value: Uint8Array): number {
  return ((value[1]! << 24) | (value[2]! << 16) | (value[3]! << 8) | value[4]!) >>> 0;
}
