import { decodeRecord, definitionOf, encode, writerOf } from '../../events/codec.ts';
import { SCHEMA_NAMES, type SchemaName } from '../../events/schema-registry.ts';
import type { WireFormat } from './wire-format.ts';

/**
 * Plain JSON for consumers without Avro: the fields of the record and its `type`. What JSON has no number for is told
 * by words: NaN is null, infinities are "Infinity" and "-Infinity"; bytes are base64. Nothing is lost: it is read back as
 * the same bytes that were written.
 */
export class JsonFormat implements WireFormat {
  readonly #topics: ReadonlySet<string>;
  readonly #others: WireFormat;

  /** @param others for all other topics. */
  constructor(topics: Iterable<string>, others: WireFormat) {
    this.#topics = new Set(topics);
    this.#others = others;
  }

  write(topic: string, value: Uint8Array): Uint8Array | undefined {
    if (!this.#topics.has(topic)) return this.#others.write(topic, value);
    const name = writerOf(value)?.name;
    if (name === undefined || name === 'ModelArtefact') return value;
    const { type, ...fields } = decodeRecord(value);
    return Buffer.from(JSON.stringify({ type, ...(walk(definitionOf(name), fields, toJson) as object) }));
  }

  prepareWrite(topic: string, value: Uint8Array): Promise<void> {
    return this.#others.prepareWrite(topic, value);
  }

  read(topic: string, value: Uint8Array): Uint8Array | undefined {
    if (!this.#topics.has(topic) || value[0] !== BRACE) return this.#others.read(topic, value);
    try {
      const { type, ...fields } = JSON.parse(Buffer.from(value).toString('utf8')) as { type?: SchemaName };
      if (type === undefined || !SCHEMA_NAMES.includes(type)) return value;
      return encode(type, walk(definitionOf(type), fields, fromJson));
    } catch {
      // Not ours, or damaged: whoever decodes it says so.
      return value;
    }
  }

  prepareRead(topic: string, value: Uint8Array): Promise<void> {
    return this.#others.prepareRead(topic, value);
  }

  announce(topics: readonly string[]): Promise<void> {
    return this.#others.announce(topics.filter((topic) => !this.#topics.has(topic)));
  }
}

const BRACE = 0x7b;

type Leaf = (type: 'double' | 'bytes', value: unknown) => unknown;

const toJson: Leaf = (type, value) => {
  if (type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64');
  const number = value as number;
  if (Number.isNaN(number)) return null;
  // JSON.stringify would write −0 as 0.
  if (Object.is(number, -0)) return '-0';
  return Number.isFinite(number) ? number : String(number);
};

const fromJson: Leaf = (type, value) => {
  if (type === 'bytes') return Buffer.from(String(value), 'base64');
  return value === null ? Number.NaN : Number(value);
};

/** A copy of the value with its doubles and bytes changed; `type` is an Avro schema as in our files. */
function walk(type: unknown, value: unknown, leaf: Leaf): unknown {
  if (type === 'double' || type === 'float') return leaf('double', value);
  if (type === 'bytes') return leaf('bytes', value);
  if (typeof type !== 'object' || type === null || typeof value !== 'object' || value === null) return value;
  const {
    type: kind,
    items,
    values,
    fields,
  } = type as {
    readonly type: unknown;
    readonly items?: unknown;
    readonly values?: unknown;
    readonly fields?: readonly { readonly name: string; readonly type: unknown }[];
  };
  if (kind === 'array') return (value as unknown[]).map((item) => walk(items, item, leaf));
  if (kind === 'map') {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, walk(values, each, leaf)]));
  }
  if (kind !== 'record') return value;
  const record = value as Record<string, unknown>;
  return Object.fromEntries(
    // A field that is not there has its default, where it has one: encoding says so where not.
    fields!
      .filter(({ name }) => name in record)
      .map((field) => [field.name, walk(field.type, record[field.name], leaf)]),
  );
}
