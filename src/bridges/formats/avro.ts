import { FleetcastError } from '../../errors.ts';
import { Reject } from '../mapping/reject.ts';
import { type Decoder, type FormatLimits, guarded } from './bounds.ts';
import { textOf } from './text.ts';

export interface AvroOptions {
  /** The schema that the device wrote with: JSON, as text or as parsed. */
  readonly schema: unknown;
  /**
   * What stands before the data: nothing, the ten bytes of Avro's single-object encoding, or the five of a schema
   * registry (Confluent's wire format). The schema is always the one given here. Default `none`.
   */
  readonly framing?: 'none' | 'single-object' | 'registry';
}

/** Where the reader stands; every step is checked against the end, so that no length can make it go on for ever. */
interface Cursor {
  readonly bytes: Buffer;
  at: number;
  /** Values that may still be made. */
  left: number;
}
type Read = (cursor: Cursor, depth: number) => unknown;

/**
 * Avro binary with a known schema. Written here and not left to avsc, which takes the lengths in foreign bytes for true
 * (five bytes can claim twenty million items). Longs beyond 2^53 become the nearest number, decimals a number,
 * timestamps stay what they are (milliseconds or microseconds).
 *
 * @throws CONFIG_INVALID for a schema that is none.
 */
export function avroDecoder(options: AvroOptions, limits: FormatLimits): Decoder {
  const schema = typeof options.schema === 'string' ? parsed(options.schema) : options.schema;
  const read = new Compiler(limits).compile(schema, '');
  const framing = options.framing ?? 'none';
  return guarded('Avro of this schema', limits, (payload) => {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const cursor: Cursor = { bytes, at: headerLength(bytes, framing), left: limits.maxNodes };
    const value = read(cursor, 0);
    if (cursor.at !== bytes.length) throw new Error(`${bytes.length} bytes, of which ${cursor.at} decode`);
    return value;
  });
}

function headerLength(bytes: Buffer, framing: NonNullable<AvroOptions['framing']>): number {
  if (framing === 'none') return 0;
  if (framing === 'registry') {
    if (bytes.length < 5 || bytes[0] !== 0) throw new Error('it does not begin with the id of a schema');
    return 5;
  }
  if (bytes.length < 10 || bytes[0] !== 0xc3 || bytes[1] !== 0x01) throw new Error('it is not single-object encoded');
  return 10;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A bare name such as "double" is a schema as well.
    return text;
  }
}

class Compiler {
  readonly #limits: FormatLimits;
  readonly #named = new Map<string, Read>();

  constructor(limits: FormatLimits) {
    this.#limits = limits;
  }

  compile(schema: unknown, namespace: string): Read {
    if (typeof schema === 'string') return PRIMITIVES[schema] ?? this.#reference(schema, namespace);
    if (Array.isArray(schema)) return this.#union(schema, namespace);
    if (schema === null || typeof schema !== 'object') return invalid(`${JSON.stringify(schema)} is no Avro schema`);
    const { type, ...rest } = schema as Record<string, unknown>;
    const logical = decimalOf(rest);
    switch (type) {
      case 'record':
      case 'error':
        return this.#record(rest, namespace);
      case 'enum':
        return this.#enumeration(rest, namespace);
      case 'fixed':
        return logical === undefined ? this.#fixed(rest, namespace) : scaled(this.#fixed(rest, namespace), logical);
      case 'array':
        return this.#blocks(this.compile(rest['items'], namespace), false);
      case 'map':
        return this.#blocks(this.compile(rest['values'], namespace), true);
      default: {
        const inner = this.compile(type, namespace);
        return logical === undefined ? inner : scaled(inner, logical);
      }
    }
  }

  #record(schema: Record<string, unknown>, namespace: string): Read {
    const inside = this.#name(schema, namespace);
    const fields: [string, Read][] = [];
    const maxDepth = this.#limits.maxDepth;
    const read: Read = (cursor, depth) => {
      if (depth >= maxDepth) throw new Reject('too-deep', `nested more than ${maxDepth} levels`);
      const result = Object.create(null) as Record<string, unknown>;
      for (const [name, readField] of fields) {
        count(cursor);
        result[name] = readField(cursor, depth + 1);
      }
      return result;
    };
    this.#define(schema, namespace, read);
    const list = schema['fields'];
    if (!Array.isArray(list)) return invalid('a record of an Avro schema has no fields');
    for (const field of list as Record<string, unknown>[]) {
      if (typeof field?.['name'] !== 'string') return invalid('a field of an Avro schema has no name');
      fields.push([field['name'], this.compile(field['type'], inside)]);
    }
    return read;
  }

  #enumeration(schema: Record<string, unknown>, namespace: string): Read {
    const symbols = schema['symbols'];
    if (!Array.isArray(symbols)) return invalid('an enum of an Avro schema has no symbols');
    const read: Read = (cursor) => {
      const symbol: unknown = symbols[long(cursor)];
      if (symbol === undefined) throw new Error('a symbol that its enum does not have');
      return symbol;
    };
    this.#define(schema, namespace, read);
    return read;
  }

  #fixed(schema: Record<string, unknown>, namespace: string): Read {
    const size = schema['size'];
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0) return invalid('a fixed without a size');
    const read: Read = (cursor) => take(cursor, size);
    this.#define(schema, namespace, read);
    return read;
  }

  #union(branches: readonly unknown[], namespace: string): Read {
    const reads = branches.map((branch) => this.compile(branch, namespace));
    return (cursor, depth) => {
      const read = reads[long(cursor)];
      if (read === undefined) throw new Error('a branch that its union does not have');
      return read(cursor, depth);
    };
  }

  #blocks(item: Read, named: boolean): Read {
    const maxDepth = this.#limits.maxDepth;
    return (cursor, depth) => {
      if (depth >= maxDepth) throw new Reject('too-deep', `nested more than ${maxDepth} levels`);
      const list: unknown[] = [];
      const map = Object.create(null) as Record<string, unknown>;
      for (let items = long(cursor); items !== 0; items = long(cursor)) {
        if (items < 0) long(cursor); // the block's size in bytes, for those who skip it
        for (let i = Math.abs(items); i > 0; i--) {
          count(cursor);
          if (named) {
            const name = text(cursor);
            map[name] = item(cursor, depth + 1);
          } else list.push(item(cursor, depth + 1));
        }
      }
      return named ? map : list;
    };
  }

  #reference(name: string, namespace: string): Read {
    const found = this.#named.get(name.includes('.') || namespace === '' ? name : `${namespace}.${name}`);
    return found ?? this.#named.get(name) ?? invalid(`${JSON.stringify(name)} is no type of the Avro schema`);
  }

  /** The namespace inside a named type. */
  #name(schema: Record<string, unknown>, namespace: string): string {
    const full = fullName(schema, namespace);
    return full.includes('.') ? full.slice(0, full.lastIndexOf('.')) : '';
  }

  #define(schema: Record<string, unknown>, namespace: string, read: Read): void {
    this.#named.set(fullName(schema, namespace), read);
  }
}

function fullName(schema: Record<string, unknown>, namespace: string): string {
  const { name } = schema;
  if (typeof name !== 'string') return invalid('a named type of an Avro schema has no name');
  if (name.includes('.')) return name;
  const space = typeof schema['namespace'] === 'string' ? schema['namespace'] : namespace;
  return space === '' ? name : `${space}.${name}`;
}

const PRIMITIVES: Readonly<Record<string, Read>> = {
  null: () => null,
  boolean: (cursor) => {
    const byte = take(cursor, 1)[0];
    if (byte! > 1) throw new Error('a boolean that is neither 0 nor 1');
    return byte === 1;
  },
  int: long,
  long,
  float: (cursor) => take(cursor, 4).readFloatLE(0),
  double: (cursor) => take(cursor, 8).readDoubleLE(0),
  bytes: (cursor) => take(cursor, long(cursor)),
  string: text,
};

function text(cursor: Cursor): string {
  return textOf(take(cursor, long(cursor)));
}

function take(cursor: Cursor, length: number): Buffer {
  const end = cursor.at + length;
  if (!(length >= 0) || end > cursor.bytes.length) throw new Error('it ends too early');
  const part = cursor.bytes.subarray(cursor.at, end);
  cursor.at = end;
  return part;
}

/** Zig-zag variable-length integer of up to 64 bits. */
function long(cursor: Cursor): number {
  let low = 0;
  let high = 0n;
  let shift = 0;
  for (;;) {
    const byte = take(cursor, 1)[0]!;
    if (shift < 28) low += (byte & 0x7f) * 2 ** shift;
    else high |= BigInt(byte & 0x7f) << BigInt(shift);
    shift += 7;
    if (byte < 0x80) break;
    if (shift > 63) throw new Error('an integer of more than 64 bits');
  }
  if (high === 0n) return low % 2 === 0 ? low / 2 : -(low + 1) / 2;
  const raw = BigInt.asUintN(64, high | BigInt(low));
  return Number((raw >> 1n) ^ -(raw & 1n));
}

function count(cursor: Cursor): void {
  if (--cursor.left < 0) throw new Reject('too-many-values', 'too many values in one payload');
}

function decimalOf(schema: Record<string, unknown>): number | undefined {
  return schema['logicalType'] === 'decimal' ? Number(schema['scale'] ?? 0) : undefined;
}

/** Logical type decimal: a big-endian two's complement integer with a scale. */
function scaled(read: Read, scale: number): Read {
  return (cursor, depth) => {
    const bytes = read(cursor, depth) as Buffer;
    if (bytes.length === 0 || bytes.length > 32) throw new Error('a decimal without digits or with too many');
    const value = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
    return Number(value) / 10 ** scale;
  };
}

function invalid(message: string): never {
  throw new FleetcastError('CONFIG_INVALID', message);
}
