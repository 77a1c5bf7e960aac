import type avro from 'avsc';
import { FleetcastError, messageOf } from '../errors.ts';
import type { FleetRecord, RecordType } from './records.ts';
import { releasedSchema } from './released-schemas.ts';
import { compileSchema, fingerprint, SCHEMA_NAMES, type SchemaName, schemaText } from './schema-registry.ts';

/**
 * Avro single-object encoding (Avro specification 1.11, "Single-object encoding"): two marker bytes, the eight bytes of
 * the writer schema's CRC-64-AVRO fingerprint, then the Avro binary. The fingerprint tells the record's type, so one
 * topic may hold several, and its version: what was written with an earlier schema is read as today's.
 */
const MARKER_0 = 0xc3;
const MARKER_1 = 0x01;
/** Bytes before the Avro binary. */
export const HEADER = 10;

interface Schema {
  readonly name: SchemaName;
  readonly type: avro.Type;
  readonly header: Buffer;
  /** From the writer's schema to today's; undefined where they are the same. */
  readonly resolver: avro.Type | undefined;
  readonly text: string;
}

const schemas = new Map<SchemaName, Schema>();
const byFingerprint = new Map<string, Schema>();
for (const name of SCHEMA_NAMES) {
  const text = schemaText(name);
  const type = compileSchema(text);
  const schema = { name, type, header: headerOf(type), resolver: undefined, text };
  schemas.set(name, schema);
  byFingerprint.set(mark(schema.header), schema);
}

/**
 * Makes records known that were written with another version of one of our schemas.
 * @param text the writer's schema. It is compiled to code: only from a source that may be trusted.
 * @returns what such records begin with, or undefined where the schema is none of ours or cannot be read as today's.
 */
export function learnSchema(text: string): Buffer | undefined {
  let writer: avro.Type;
  try {
    writer = compileSchema(text);
  } catch {
    return undefined;
  }
  const header = headerOf(writer);
  const known = byFingerprint.get(mark(header));
  if (known !== undefined) return known.header;
  const name = SCHEMA_NAMES.find((each) => `fleetcast.${each}` === writer.name);
  if (name === undefined) return undefined;
  try {
    const resolver = schemas.get(name)!.type.createResolver(writer) as unknown as avro.Type;
    byFingerprint.set(mark(header), { name, type: writer, header, resolver, text });
  } catch {
    return undefined;
  }
  return header;
}

/** The schema that the bytes were written with, or undefined for bytes that are not ours. */
export function writerOf(bytes: Uint8Array): { readonly name: SchemaName; readonly text: string } | undefined {
  return find(bytes);
}

/** What records of today's version begin with. */
export function headerFor(name: SchemaName): Buffer {
  return schemas.get(name)!.header;
}

const definitions = new Map<SchemaName, unknown>();

/** Today's version of a schema as it is in `schemas/`, for whoever walks through records of it. */
export function definitionOf(name: SchemaName): unknown {
  let definition = definitions.get(name);
  if (definition === undefined) {
    definition = JSON.parse(schemas.get(name)!.text);
    definitions.set(name, definition);
  }
  return definition;
}

/** Grows to the largest record and is reused: encoding makes one copy and no other garbage. */
let scratch = Buffer.allocUnsafe(64 * 1024);

/** @throws CODEC_INVALID_VALUE where the value does not fit the schema. */
export function encode(name: SchemaName, value: unknown): Buffer {
  const schema = schemas.get(name)!;
  schema.header.copy(scratch);
  let end: number;
  try {
    end = schema.type.encode(value, scratch, HEADER);
    if (end < 0) {
      scratch = Buffer.allocUnsafe((scratch.length - end) * 2);
      schema.header.copy(scratch);
      end = schema.type.encode(value, scratch, HEADER);
    }
  } catch (cause) {
    throw new FleetcastError('CODEC_INVALID_VALUE', `${name}: ${messageOf(cause)}`, { cause });
  }
  return Buffer.from(scratch.subarray(0, end));
}

export function encodeRecord(record: FleetRecord): Buffer {
  return encode(record.type, record);
}

/** Which schema the bytes were written with, or undefined for bytes that are not ours. */
export function schemaOf(bytes: Uint8Array): SchemaName | undefined {
  return find(bytes)?.name;
}

/**
 * @throws CODEC_UNKNOWN_SCHEMA for bytes of an unknown schema or of no schema at all, CODEC_MALFORMED for damaged ones.
 */
export function decode<T>(name: SchemaName, bytes: Uint8Array): T {
  const schema = find(bytes);
  if (schema?.name !== name) {
    throw new FleetcastError('CODEC_UNKNOWN_SCHEMA', `expected ${name}, found ${schema?.name ?? 'an unknown schema'}`);
  }
  return read(schema, bytes) as T;
}

/** Decodes any record of the topics; see {@link decode} for the errors. */
export function decodeRecord(bytes: Uint8Array): FleetRecord {
  const schema = find(bytes);
  if (schema === undefined || schema.name === 'ModelArtefact') {
    throw new FleetcastError('CODEC_UNKNOWN_SCHEMA', `no record schema has the fingerprint ${hex(bytes)}`);
  }
  const fields = read(schema, bytes) as object;
  return { type: schema.name as RecordType, ...fields } as FleetRecord;
}

function find(bytes: Uint8Array): Schema | undefined {
  if (bytes.length < HEADER || bytes[0] !== MARKER_0 || bytes[1] !== MARKER_1) return undefined;
  const own = mark(asBuffer(bytes));
  const known = byFingerprint.get(own);
  if (known !== undefined) return known;
  const earlier = releasedSchema(Buffer.from(own, 'latin1').toString('hex'));
  if (earlier === undefined || learnSchema(earlier) === undefined) return undefined;
  return byFingerprint.get(own);
}

function headerOf(type: avro.Type): Buffer {
  return Buffer.concat([Buffer.from([MARKER_0, MARKER_1]), fingerprint(type)]);
}

/** The fingerprint in a header. */
function mark(bytes: Buffer): string {
  return bytes.toString('latin1', 2, HEADER);
}

interface Decoded {
  readonly value: unknown;
  readonly offset: number;
}

function read(schema: Schema, bytes: Uint8Array): unknown {
  let result: Decoded;
  try {
    result =
      schema.resolver === undefined
        ? schema.type.decode(asBuffer(bytes), HEADER)
        : today(schema).decode(asBuffer(bytes), HEADER, schema.resolver);
  } catch (cause) {
    throw new FleetcastError('CODEC_MALFORMED', `${schema.name}: ${messageOf(cause)}`, { cause });
  }
  if (result.offset !== bytes.length) {
    throw new FleetcastError(
      'CODEC_MALFORMED',
      `${schema.name}: ${bytes.length} bytes, of which ${result.offset} decode`,
    );
  }
  return result.value;
}

function today(schema: Schema): { decode(bytes: Buffer, at: number, resolver: avro.Type): Decoded } {
  return schemas.get(schema.name)!.type as never;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, HEADER)).toString('hex');
}
