// Readings of devices and visits to them, by device and by room: a table, joins of streams before and behind repartition
// topics, state and windows behind them. From the built package.
import { jsonCodec } from '../../dist/state/json-codec.js';
import { TopologyBuilder } from '../../dist/topology/builder.js';
import { tumbling } from '../../dist/topology/windows/window-spec.js';
import { Sum } from './sum.mjs';

const HOUR = 3_600_000;
export const WITHIN_MS = HOUR / 2;
export const WINDOW_MS = 6 * HOUR;
/** Of the topics behind `keyBy`: another number than the input has. */
export const ROOM_PARTITIONS = 3;
/** A topic that cannot be read for a while is not waited for, and hours of event time go by: nothing is late by that. */
const TIMES = { graceMs: 200 * HOUR, idleMs: 2000 * HOUR, holdMs: 2000 * HOUR };

const parse = (bytes) => JSON.parse(Buffer.from(bytes).toString('utf8'));
const codec = {
  decode: ({ value }) => {
    const item = parse(value);
    return 'tick' in item ? { kind: 'tick', time: item.tick } : { kind: 'record', value: item, time: item.t };
  },
};
const encode = ({ key, value }) => ({ key, value: Buffer.from(JSON.stringify(value)) });
const text = ({ key, value }) => ({ key, value: Buffer.from(value) });
const json = jsonCodec();

export function joins() {
  const builder = new TopologyBuilder('joins');
  const readings = builder.source('readings', { topic: 'readings', codec });
  const visits = builder.source('calls', { topic: 'calls', codec });
  const devices = builder.table('devices', { topic: 'devices', codec: json });
  const join = { withinMs: WITHIN_MS, ...TIMES, left: json, right: json };
  const late = (node, name) => node.output('late').sink(`${name}-late`, { topic: 'late', encode });

  const checked = readings.joinTable('check', devices, ({ id, v }, { room, offset }) => ({ id, v: v + offset, room }));
  checked.sink('checked', { topic: 'checked', encode });
  const pairs = visits.join('pair', readings, join, (visit, reading) => [visit.id, reading.id]);
  pairs.sink('pairs', { topic: 'pairs', encode });
  late(pairs, 'pairs');

  const by = (room) => ({ codec: json, partitions: ROOM_PARTITIONS, ...room });
  const inRooms = checked.keyBy('by-room', ({ room }) => room, by());
  const calls = visits.keyBy('calls-by-room', ({ room }) => room, by());
  const met = calls.join('meet', inRooms, join, (visit, reading) => [visit.id, reading.id]);
  met.sink('visits', { topic: 'visits', encode });
  late(met, 'visits');
  inRooms.map('id', ({ id }) => id).sink('arrived', { topic: 'arrived', encode });
  inRooms
    .map('v', ({ v }) => v)
    .process('sum', () => new Sum())
    .sink('seen', { topic: 'seen', encode: text });
  const windows = inRooms
    .window(tumbling(WINDOW_MS, TIMES))
    .aggregate('window', { initial: () => [], add: (ids, { id }) => [...ids, id] }, { ordered: json });
  windows
    .map('window-line', ({ start, revision, value }) => ({ start, revision, ids: value }))
    .sink('windows', { topic: 'windows', encode });
  late(windows, 'windows');
  return builder.build();
}
