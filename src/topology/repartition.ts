import type { LogRecord } from '../log/event-log.ts';
import type { StreamRecord } from '../operators/operator.ts';
import { asBuffer } from './bytes.ts';
import type { SinkEncoder, SourceCodec, SourceItem, ValueCodec } from './topology.ts';

/**
 * Records on a repartition topic: one byte for the kind, then the event time as a double, then the value. Ticks go to
 * every partition and say which partition they come from and of how many: the time of a partition downstream is the
 * earliest of the times of all partitions that feed it, so that one that lags is not overtaken.
 */
const RECORD = 0;
const TICK = 1;
const HEADER = 9;

export function repartitionEncoder<T>(select: (value: T, key: string) => string, codec: ValueCodec<T>): SinkEncoder<T> {
  return ({ value, key, time }: StreamRecord<T>) => {
    const bytes = codec.encode(value);
    const framed = Buffer.allocUnsafe(HEADER + bytes.length);
    framed[0] = RECORD;
    framed.writeDoubleLE(time, 1);
    framed.set(bytes, HEADER);
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
      if (bytes[0] === RECORD) return { kind: 'record', value: codec.decode(bytes.subarray(HEADER)), time };
      return { kind: 'tick', time, from: bytes.readUInt32LE(HEADER), of: bytes.readUInt32LE(HEADER + 4) };
    },
  };
}
