import { readFileSync } from 'node:fs';
import avro from 'avsc';
import type { RecordType } from './records.ts';

/** Record type (or artefact) to its file in `schemas/`. */
const FILES: Readonly<Record<RecordType | 'ModelArtefact', string>> = {
  Reading: 'reading',
  Tick: 'tick',
  Activation: 'activation',
  DeadLetter: 'dead-letter',
  HistorySegment: 'history-segment',
  HistoryFlush: 'history-flush',
  Forecast: 'forecast',
  NextEvent: 'next-event',
  Score: 'score',
  Alert: 'alert',
  StateSnapshot: 'state-snapshot',
  ModelEvent: 'model-event',
  ModelArtefact: 'model-artefact',
};

export type SchemaName = keyof typeof FILES;

export const SCHEMA_NAMES = Object.keys(FILES) as readonly SchemaName[];

/** The schema of today's version, as in `schemas/`. */
export function schemaText(name: SchemaName): string {
  return readFileSync(new URL(`../../schemas/${FILES[name]}.avsc`, import.meta.url), 'utf8');
}

/** Compiles a schema of ours. Schemas from elsewhere must come from a trusted registry: avsc compiles them to code. */
export function compileSchema(text: string): avro.Type {
  return avro.Type.forSchema(JSON.parse(text) as avro.Schema, { wrapUnions: 'never' } as never);
}

/** What avsc's readers are made of. Not its public interface: `codec.test.ts` holds that it is still so. */
interface InnerTap {
  readonly buf: Uint8Array;
  pos: number;
  readLong(): number;
  skipLong(): void;
  readString(): string;
}

interface InnerType {
  readonly itemsType: InnerType;
  readonly valuesType: InnerType;
  _read(tap: InnerTap): unknown;
}

/*
 * Arrays and maps may claim no more items than there are bytes left (every item of ours takes one at least): avsc would
 * allocate and read on for as many as a damaged record claims. Its types are frozen, so their prototypes are changed, for
 * the whole process.
 */
const { ArrayType, MapType } = avro.types as unknown as Record<string, { prototype: InnerType }>;
ArrayType!.prototype._read = function (this: InnerType, tap) {
  const items: unknown[] = [];
  for (let n = blockSize(tap); n > 0; n = blockSize(tap)) while (n-- > 0) items.push(this.itemsType._read(tap));
  return items;
};
MapType!.prototype._read = function (this: InnerType, tap) {
  const values: Record<string, unknown> = {};
  for (let n = blockSize(tap); n > 0; n = blockSize(tap)) {
    while (n-- > 0) {
      const key = tap.readString();
      values[key] = this.valuesType._read(tap);
    }
  }
  return values;
};

function blockSize(tap: InnerTap): number {
  let count = tap.readLong();
  if (count < 0) {
    count = -count;
    tap.skipLong();
  }
  const left = tap.buf.length - tap.pos;
  // What runs past the end is told by avsc itself; a count is only believed as far as there are bytes.
  if (!(count <= Math.max(0, left))) throw new Error(`${count} items claimed where ${left} bytes are left`);
  return count;
}

/**
 * CRC-64-AVRO of a schema's parsing canonical form, as eight bytes little endian: the fingerprint of the Avro
 * specification's single-object encoding.
 */
export function fingerprint(type: avro.Type): Buffer {
  const canonical = Buffer.from(JSON.stringify(type.schema()), 'utf8');
  let crc = EMPTY;
  for (const byte of canonical) {
    crc = (crc >> 8n) ^ TABLE[Number((crc ^ BigInt(byte)) & 0xffn)]!;
  }
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(crc);
  return out;
}

const EMPTY = 0xc15d213aa4d7a795n;
const TABLE: readonly bigint[] = Array.from({ length: 256 }, (_, i) => {
  let entry = BigInt(i);
  for (let bit = 0; bit < 8; bit++) entry = (entry >> 1n) ^ (EMPTY & -(entry & 1n));
  return entry;
});
