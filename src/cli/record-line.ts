import { isUtf8 } from 'node:buffer';
import { decodeRecord, schemaOf } from '../events/codec.ts';
import type { LogRecord } from '../log/event-log.ts';
import { decodeModel } from '../pipelines/model-codec.ts';

/** A record as one line of JSON: where it stands, and what it holds. NaN is null; bytes are text or base64. */
export function recordLine(topic: string, partition: number, record: LogRecord): string {
  const { offset, timestamp, key, value } = record;
  return JSON.stringify({
    topic,
    partition,
    offset,
    timestamp: new Date(timestamp).toISOString(),
    key: key === null ? null : bytes(key),
    value: value === null ? null : decoded(value),
  });
}

function decoded(value: Uint8Array): unknown {
  try {
    if (schemaOf(value) === 'ModelArtefact') {
      const artefact = decodeModel(value);
      const weights = artefact.weights.map(({ name, shape }) => ({ name, shape }));
      const training = { ...artefact.training, set: undefined };
      const scaler = { ...artefact.scaler, series: undefined };
      return { type: 'ModelArtefact', ...artefact, weights, training, scaler };
    }
    return readable(decodeRecord(value));
  } catch (error) {
    return { undecodable: error instanceof Error ? error.message : String(error), bytes: bytes(value) };
  }
}

function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return bytes(value);
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, readable(field)]));
  }
  return value;
}

function bytes(value: Uint8Array): unknown {
  const buffer = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return isUtf8(buffer) ? buffer.toString('utf8') : { base64: buffer.toString('base64') };
}
