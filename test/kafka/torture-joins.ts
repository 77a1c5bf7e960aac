import type { EventLog, OutRecord } from '../../src/log/event-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { Random } from '../../src/models/random.ts';
import { HOUR } from '../readings.ts';
import { ROOM_PARTITIONS, WINDOW_MS, WITHIN_MS } from './joins-topology.mjs';
import { type Content, contents, difference, line, type TortureTopology } from './torture-topology.ts';

interface Row {
  readonly room: string;
  readonly offset: number;
}
interface Sent {
  readonly id: number;
  readonly device: string;
  readonly room: string;
  readonly t: number;
  readonly v: number;
  readonly timestamp: number;
}

const START = Date.UTC(2026, 0, 1);
const PARTITIONS = 4;
const DEVICES = 30;
const ROOMS = 5;
/** It has no row in the table: its readings are joined with visits only. */
const ROWLESS = 'pump-7';
const INPUTS = ['readings', 'calls', 'devices'];
/** In the order of the input, to the byte. */
const ORDERED = 'checked';
/** As sets in which nothing is twice: which of two inputs comes first is not determined. */
const SETS = ['pairs', 'visits', 'arrived', 'windows', 'late'];
const TOPICS = [ORDERED, ...SETS, 'seen', 'dead-letters'];
const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);

/**
 * A topology with a table, joins before and behind repartition topics, sums and windows behind them. What its outputs have
 * to be is reckoned from the input, by no engine: each pair once, each reading once behind the `keyBy`, each sum once, each
 * window with its readings; and each reading joined with its row in order and to the byte.
 */
export function joinsUnderTorture(seed: number): TortureTopology {
  return {
    name: 'joins',
    inputs: INPUTS,
    partitions: PARTITIONS,
    prepare: async (log) => {
      const spec = (name: string) => ({ name, partitions: PARTITIONS, cleanup: 'delete' }) as const;
      await log.ensureTopics([...INPUTS, ...TOPICS].map((name) => spec(name)));
      return Array.from({ length: DEVICES }, (_, d) => rowOf(d, START)).flat();
    },
    hour: (hour) => hourOf(hour, seed),
    settled: async (log, input, look) => {
      const expected = expectedOf(input);
      for (const topic of ['pairs', 'visits', 'arrived']) {
        for (const partition of partitions) {
          await contents(log, topic, partition, expected.get(`${topic}/${partition}`)?.length ?? 0, look);
        }
      }
    },
    // Far behind everything: what is open closes.
    last: (hour) => ticks(START + hour * HOUR + 5000 * HOUR),
    check,
  };
}

async function check(log: EventLog, input: readonly OutRecord[], look: () => void) {
  const expected = expectedOf(input);
  const wrong: string[] = [];
  const outputs: Record<string, number> = {};
  const places = TOPICS.flatMap((topic) => partitions.map((partition) => ({ topic, partition })));
  const compare = async ({ topic, partition }: { topic: string; partition: number }): Promise<void> => {
    const where = `${topic}/${partition}`;
    const wanted = expected.get(where) ?? [];
    const records = await contents(log, topic, partition, wanted.length, look);
    outputs[topic] = (outputs[topic] ?? 0) + records.length;
    const fault = wrongIn(topic, where, records, wanted);
    if (fault !== undefined) wrong.push(fault);
  };
  await Promise.all(places.map(compare));
  return { outputs, wrong };
}

function wrongIn(topic: string, where: string, records: readonly Content[], wanted: string[]): string | undefined {
  if (topic === 'seen') return sumsWrong(where, records, wanted);
  if (topic === 'dead-letters') {
    return records.length === wanted.length ? undefined : `${where}: ${records.length} of ${wanted.length}`;
  }
  if (topic === ORDERED) return difference(where, records.map(line), wanted);
  return difference(where, records.map(entry).sort(), wanted.sort());
}

/** By `topic/partition`, what has to be there. */
function expectedOf(input: readonly OutRecord[]): Map<string, string[]> {
  const expected = new Map<string, string[]>();
  const put = (topic: string, partition: number, text: string): void => {
    const where = `${topic}/${partition}`;
    const list = expected.get(where);
    if (list === undefined) expected.set(where, [text]);
    else list.push(text);
  };
  const readings: Sent[] = [];
  const calls: Sent[] = [];
  for (const { topic, partition, timestamp, key, value } of input) {
    const text = Buffer.from(value!).toString();
    if (key === null || topic === 'devices') continue;
    if (text === DAMAGED) {
      put('dead-letters', partition, text);
      continue;
    }
    (topic === 'calls' ? calls : readings).push({ ...JSON.parse(text), device: String(key), timestamp });
  }
  const windows = new Map<string, number[]>();
  for (const { id, device, v, t, timestamp } of readings) {
    const row = rowFor(device);
    if (row === undefined) continue;
    const value = Buffer.from(JSON.stringify({ id, v: v + row.offset, room: row.room }));
    put('checked', partitionFor(device, PARTITIONS), line({ timestamp, key: Buffer.from(device), value }));
    const at = partitionFor(row.room, ROOM_PARTITIONS);
    put('arrived', at, `${row.room} ${id}`);
    put('seen', at, `${row.room} ${v + row.offset}`);
    const window = `${row.room} ${Math.floor(t / WINDOW_MS) * WINDOW_MS}`;
    windows.set(window, [...(windows.get(window) ?? []), id]);
  }
  for (const [window, ids] of windows) {
    const [room, start] = window.split(' ') as [string, string];
    const value = { start: Number(start), revision: 1, ids: ids.sort((a, b) => a - b) };
    put('windows', partitionFor(room, ROOM_PARTITIONS), `${room} ${JSON.stringify(value)}`);
  }
  for (const call of calls) {
    for (const reading of readings) {
      if (Math.abs(call.t - reading.t) > WITHIN_MS) continue;
      const pair = JSON.stringify([call.id, reading.id]);
      if (call.device === reading.device) {
        put('pairs', partitionFor(call.device, PARTITIONS), `${call.device} ${pair}`);
      }
      const room = rowFor(reading.device)?.room;
      if (room === call.room) put('visits', partitionFor(room, ROOM_PARTITIONS), `${room} ${pair}`);
    }
  }
  return expected;
}

/** Key and value; lists of a window in one order. */
function entry({ key, value }: Content): string {
  const read = JSON.parse(Buffer.from(value!).toString());
  if (Array.isArray(read?.ids)) read.ids.sort((a: number, b: number) => a - b);
  return `${key === null ? '' : Buffer.from(key)} ${JSON.stringify(read)}`;
}

/** Each key's sums must be numbered 1 to N, and each must be that before it and one of the key's values, each used once. */
function sumsWrong(where: string, records: readonly Content[], wanted: readonly string[]): string | undefined {
  const left = new Map<string, number>();
  for (const text of wanted) left.set(text, (left.get(text) ?? 0) + 1);
  const sums = new Map<string, { count: number; sum: number }>();
  for (const { value } of records) {
    const [key, count, sum] = Buffer.from(value!).toString().split(' ') as [string, string, string];
    const before = sums.get(key) ?? { count: 0, sum: 0 };
    const one = `${key} ${Number(sum) - before.sum}`;
    if (Number(count) !== before.count + 1) return `${where}: sum ${count} of ${key} after sum ${before.count}`;
    if ((left.get(one) ?? 0) === 0)
      return `${where}: sum ${count} of ${key} adds ${one}, which did not come, or came before`;
    left.set(one, left.get(one)! - 1);
    sums.set(key, { count: Number(count), sum: Number(sum) });
  }
  return records.length === wanted.length ? undefined : `${where}: ${records.length} of ${wanted.length}`;
}

const DAMAGED = 'damaged';

/** One hour: readings of most devices, some late or damaged; some calls; rows of the table once more; ticks. */
function hourOf(hour: number, seed: number): OutRecord[] {
  const random = new Random(seed * 100_003 + hour);
  const records: OutRecord[] = [];
  const put = (topic: string, device: string, timestamp: number, value: string): void => {
    const partition = partitionFor(device, PARTITIONS);
    records.push({ topic, partition, timestamp, key: Buffer.from(device), value: Buffer.from(value) });
  };
  for (let d = 0; d < DEVICES; d++) {
    if (random.uniform() < 0.03) continue;
    const timestamp = START + hour * HOUR + 1000 + d;
    const t = timestamp - 500 - (random.uniform() < 0.05 ? 2 * HOUR : 0);
    const reading = { id: hour * 1000 + d, v: Math.floor(random.uniform() * 1000), t };
    put('readings', `pump-${d}`, timestamp, random.uniform() < 0.01 ? DAMAGED : JSON.stringify(reading));
    if (random.uniform() < 0.08) {
      const { room } = rowFor(`pump-${d}`) ?? { room: 'room-0' };
      const call = { id: hour * 1000 + 500 + d, room, t: t + Math.floor(random.uniform() * HOUR) - HOUR / 2 };
      put('calls', `pump-${d}`, timestamp + 1, JSON.stringify(call));
    }
    if (random.uniform() < 0.05) records.push(...rowOf(d, timestamp));
  }
  return [...records, ...ticks(START + hour * HOUR + 60_000)];
}

function ticks(time: number): OutRecord[] {
  const value = Buffer.from(JSON.stringify({ tick: time }));
  return partitions.map((partition) => {
    return { topic: 'readings', partition, timestamp: time, key: null, value };
  });
}

function rowFor(device: string): Row | undefined {
  const d = Number(device.slice('pump-'.length));
  return device === ROWLESS ? undefined : { room: `room-${d % ROOMS}`, offset: d };
}

function rowOf(d: number, timestamp: number): OutRecord[] {
  const device = `pump-${d}`;
  const row = rowFor(device);
  if (row === undefined) return [];
  const partition = partitionFor(device, PARTITIONS);
  return [
    { topic: 'devices', partition, timestamp, key: Buffer.from(device), value: Buffer.from(JSON.stringify(row)) },
  ];
}
