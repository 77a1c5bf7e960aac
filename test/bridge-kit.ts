import { DEFAULT_MAPPING } from '../src/bridges/mapping/config.ts';
import { compileMapping } from '../src/bridges/mapping/mapping.ts';
import { MqttBridge, type MqttBridgeOptions } from '../src/bridges/mqtt/bridge.ts';
import { connectPublisher } from '../src/bridges/mqtt/publisher.ts';
import type { FleetcastError } from '../src/errors.ts';
import { decodeRecord } from '../src/events/codec.ts';
import type { DeadLetter, FleetRecord, Reading } from '../src/events/records.ts';
import type { EventLog, OutRecord } from '../src/log/event-log.ts';
import { MemoryLog } from '../src/log/memory/memory-log.ts';
import { QUALITY_DEFAULTS, Quality } from '../src/operators/quality.ts';
import { TopologyBuilder } from '../src/topology/builder.ts';
import { TopologyTestDriver } from '../src/topology/test-driver.ts';
import { type Mosquitto, startMosquitto } from './mosquitto.ts';

export const TOPICS = { readings: 'readings', deadLetters: 'dead-letters' } as const;

export async function bridgeTopics(log: EventLog, partitions = 4): Promise<void> {
  await log.ensureTopics([
    { name: TOPICS.readings, partitions, cleanup: 'delete' },
    { name: TOPICS.deadLetters, partitions: 1, cleanup: 'delete' },
  ]);
}

/** Everything on a topic, partition by partition. */
export async function recordsOf(log: EventLog, topic: string): Promise<FleetRecord[]> {
  const spec = await log.topic(topic);
  const all: FleetRecord[] = [];
  for (let partition = 0; partition < (spec?.partitions ?? 0); partition++) {
    const { earliest, end } = await log.offsets(topic, partition);
    for (let offset = earliest; offset < end; ) {
      const batch = await log.read(topic, partition, offset, { maxRecords: 10_000 });
      for (const { value } of batch.records) if (value !== null) all.push(decodeRecord(value));
      if (batch.nextOffset === offset) break;
      offset = batch.nextOffset;
    }
  }
  return all;
}

export async function readingsOf(log: EventLog): Promise<Reading[]> {
  return (await recordsOf(log, TOPICS.readings)).filter((record) => record.type === 'Reading');
}

export async function deadLettersOf(log: EventLog): Promise<DeadLetter[]> {
  return (await recordsOf(log, TOPICS.deadLetters)).filter((record) => record.type === 'DeadLetter');
}

/** Waits for something outside to become true. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export interface Mood {
  /** What appends fail with. */
  fail: FleetcastError | undefined;
  /** Appends write before they fail. */
  writesAnyway: boolean;
  /** Makes appends wait until what it returns is called. */
  close(): () => void;
}

/** A log whose appends can be made to fail or to wait. */
export function moodyLog(log: EventLog): { readonly log: EventLog; readonly mood: Mood } {
  let gate: Promise<void> | undefined;
  const mood: Mood = {
    fail: undefined,
    writesAnyway: false,
    close: () => {
      let open = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      return open;
    },
  };
  const append = async (records: readonly OutRecord[]) => {
    await gate;
    if (mood.fail !== undefined) {
      if (mood.writesAnyway) await log.append(records);
      throw mood.fail;
    }
    return log.append(records);
  };
  const wrapped = new Proxy(log, {
    get: (target, name) => {
      if (name === 'append') return append;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { log: wrapped, mood };
}

/** What a test has to undo, in the order in which it was made. */
export type CleanUps = (() => Promise<unknown>)[];

export async function mosquittoFor(cleanUps: CleanUps, ...settings: string[]): Promise<Mosquitto> {
  const started = await startMosquitto(settings);
  cleanUps.push(() => started.remove());
  return started;
}

/** A bridge into a memory log, ready, and a publisher over a connection like its own. */
export async function bridgeWithPublisher(
  cleanUps: CleanUps,
  url: string,
  options: Partial<MqttBridgeOptions> = {},
  publisherId = 'publisher',
) {
  const log = options.log ?? new MemoryLog();
  await bridgeTopics(log);
  const bridge = new MqttBridge({
    log,
    mapping: compileMapping(DEFAULT_MAPPING),
    topics: TOPICS,
    now: Date.now,
    tickMs: 0,
    ...options,
    connection: { url, reconnectMs: { min: 20, max: 100 }, ...options.connection },
  });
  await bridge.start();
  cleanUps.push(() => bridge.stop());
  await bridge.ready();
  const publisher = await connectPublisher({
    reconnectMs: { min: 20, max: 100 },
    ...options.connection,
    url: options.connection?.url ?? url,
    clientId: publisherId,
  });
  cleanUps.push(() => publisher.end(500));
  return { log, bridge, publisher };
}

/** What the operator `quality` lets through of the readings on the log, partition by partition. */
export async function afterQuality(log: EventLog): Promise<Reading[]> {
  const all: Reading[] = [];
  const { partitions } = (await log.topic(TOPICS.readings))!;
  for (let partition = 0; partition < partitions; partition++) {
    const builder = new TopologyBuilder('t');
    builder
      .source<Reading>('readings', { topic: 'readings', codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) } })
      .process('quality', () => new Quality(QUALITY_DEFAULTS))
      .sink('good', { topic: 'good', encode: () => ({ key: null, value: null }) });
    const driver = new TopologyTestDriver(builder.build());
    const { earliest, end } = await log.offsets(TOPICS.readings, partition);
    for (let offset = earliest; offset < end; ) {
      const batch = await log.read(TOPICS.readings, partition, offset);
      for (const { value, timestamp } of batch.records) {
        const record = decodeRecord(value!);
        if (record.type === 'Reading') driver.pipe('readings', record.device, record, record.time, timestamp);
      }
      offset = batch.nextOffset;
    }
    all.push(...driver.values<Reading>('good'));
  }
  return all;
}
