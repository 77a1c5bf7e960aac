import type { LogRecord } from '../log/event-log.ts';
import type { StreamRecord } from '../operators/operator.ts';
import { asBuffer } from './bytes.ts';
import type { SinkEncoder, SourceCodec, SourceItem, TimeOf, ValueCodec } from './topology.ts';

/**
 * Records on a repartition topic: one byte for the kind, then the event time as a double, then (where its kind says so)
 * the length of the key that the record had before, as two bytes, and that key in UTF-8, then the value. Ticks go to
 * every partition and say which partition they come from and of how many: the time of a partition downstream is the
 * earliest of the times of all partitions that feed it, so that one that lags is not overtaken.
 */
const RECORD = 0;
const TICK = 1;
const ORIGIN_RECORD = 2;
const HEADER = 9;
/** Longer keys are cut: what is beyond would tell two of them apart only where they share all of this. */
const MAX_ORIGIN = 0xffff;

/** @param origin the key that the record had at first; undefined for that of the record. */
export type RepartitionEncoder<T> = (record: StreamRecord<T>, origin?: string) => ReturnType<SinkEncoder<T>>;

export function repartitionEncoder<T>(
  select: (value: T, key: string) => string,
  codec: ValueCodec<T>,
  timeOf: TimeOf,
): RepartitionEncoder<T> {
  return ({ value, key, time }, origin = key) => {
    const bytes = codec.encode(value);
    const from = timeOf === 'origin' ? Buffer.from(origin, 'utf8').subarray(0, MAX_ORIGIN) : undefined;
    const header = from === undefined ? HEADER : HEADER + 2 + from.length;
    const framed = Buffer.allocUnsafe(header + bytes.length);
    framed[0] = from === undefined ? RECORD : ORIGIN_RECORD;
    framed.writeDoubleLE(time, 1);
    if (from !== undefined) {
      framed.writeUInt16LE(from.length, HEADER);
      framed.set(from, HEADER + 2);
    }
    framed.set(bytes, header);
    return { key: select(value, key), value: framed };
  };
}

export function encodeTick(time: number, partition: number, partitions: number): Buffer {
  const framed = Buffer.allocUnsafe(HEADER + 8);
  framed[0] = TICK;
  framed.writeDoubleLE(time, 1);
  framed.writeUInt32LE(partition, HEADER);
  framed.writeUInt32LE(partitions, HEADER + 4);
  return framed;
}

export function repartitionCodec<T>(codec: ValueCodec<T>): SourceCodec<T> {
  return {
    decode: ({ value }: LogRecord): SourceItem<T> => {
      const bytes = asBuffer(value!);
      const time = bytes.readDoubleLE(1);
      if (bytes[0] === ORIGIN_RECORD) {
        const end = HEADER + 2 + bytes.readUInt16LE(HEADER);
        const origin = bytes.toString('utf8', HEADER + 2, end);
        return { kind: 'record', value: codec.decode(bytes.subarray(end)), time, origin };
      }
      if (bytes[0] === RECORD) return { kind: 'record', value: codec.decode(bytes.subarray(HEADER)), time };
      return { kind: 'tick', time, from: bytes.readUInt32LE(HEADER), of: bytes.readUInt32LE(HEADER + 4) };
    },
  };
}
