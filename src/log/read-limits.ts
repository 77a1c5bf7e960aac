import type { ReadOptions } from './event-log.ts';

const DEFAULT_MAX_RECORDS = 10_000;
const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;

/** The limits of one read, with the defaults that all implementations share. */
export function readLimits(options: ReadOptions): { readonly records: number; readonly bytes: number } {
  return {
    records: Math.max(1, options.maxRecords ?? DEFAULT_MAX_RECORDS),
    bytes: Math.max(1, options.maxBytes ?? DEFAULT_MAX_BYTES),
  };
}

/** Bytes of key and value. */
export function payloadBytes(record: { readonly key: Uint8Array | null; readonly value: Uint8Array | null }): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0);
}
