import { jsonCodec } from '../../src/state/json-codec.ts';
import { TopologyBuilder } from '../../src/topology/builder.ts';
import type { SourceCodec, Topology } from '../../src/topology/topology.ts';
import { tumbling } from '../../src/topology/windows/window-spec.ts';

type RoomId = string & { readonly room: true };

interface Reading {
  readonly room: string;
  readonly value: number;
}

const parse = (bytes: Uint8Array | null) => JSON.parse(Buffer.from(bytes!).toString('utf8'));

export const readings: SourceCodec<Reading> = {
  decode({ value, timestamp }) {
    const item = parse(value);
    if ('tick' in item) return { kind: 'tick', time: item.tick };
    return { kind: 'record', value: item, time: timestamp };
  },
};

/**
 * Two sources and two sub-topologies: a reading is joined with its device's row and with the device's other stream, and
 * counted by room behind a repartition topic.
 */
export function rooms(): Topology {
  const builder = new TopologyBuilder('rooms');
  const source = builder.source('readings', { topic: 'readings', codec: readings });
  const table = builder.table('devices', { topic: 'devices', codec: jsonCodec<{ offset: number }>() });
  const right = table.changes().filter('changes', (row) => row !== undefined);
  const encode = ({ key, value }: { key: string; value: unknown }) => ({
    key,
    value: Buffer.from(JSON.stringify(value)),
  });
  const corrected = source.joinTable('correct', table, (reading, row) => {
    return { ...reading, value: reading.value + row.offset };
  });
  corrected.sink('corrected', { topic: 'corrected', encode });
  corrected
    .join(
      'pair',
      right,
      { withinMs: 1e9, graceMs: 1e9, left: jsonCodec<Reading>(), right: jsonCodec() },
      (reading, row) => [reading.value, row],
    )
    .sink('pairs', { topic: 'pairs', encode });
  corrected
    .keyBy('by-room', (reading) => reading.room as RoomId)
    .window(tumbling(50, { graceMs: 100, idleMs: 200 }))
    .aggregate(
      'count',
      { initial: () => 0, add: (sum, reading) => sum + reading.value },
      { ordered: jsonCodec<Reading>() },
    )
    .sink('counts', { topic: 'counts', encode });
  return builder.build();
}
