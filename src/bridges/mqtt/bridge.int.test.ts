import { createRequire } from 'node:module';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { Aedes } from 'aedes';
import { afterEach, describe, expect, it } from 'vitest';
import {
  bridgeTopics,
  deadLettersOf,
  moodyLog,
  readingsOf,
  recordsOf,
  TOPICS,
  until,
} from '../../../test/bridge-kit.ts';
import { FleetcastError } from '../../errors.ts';
import type { EventLog } from '../../log/event-log.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { type Broker, startBroker } from '../broker/broker.ts';
import { DEFAULT_MAPPING } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { MqttBridge, type MqttBridgeOptions } from './bridge.ts';
import { connectPublisher } from './publisher.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

async function broker(): Promise<Broker> {
  const started = await startBroker({ port: 0 });
  cleanUps.push(() => started.close());
  return started;
}

async function bridge(log: EventLog, url: string, options: Partial<MqttBridgeOptions> = {}): Promise<MqttBridge> {
  const started = new MqttBridge({
    log,
    mapping: compileMapping(DEFAULT_MAPPING),
    connection: { url },
    topics: TOPICS,
    now: Date.now,
    tickMs: 0,
    retryMs: { min: 5, max: 20 },
    ...options,
  });
  await started.start();
  cleanUps.push(() => started.stop());
  await started.ready();
  return started;
}

async function publisher(url: string, window?: number) {
  const connected = await connectPublisher({ url, ...(window === undefined ? {} : { window }) });
  cleanUps.push(() => connected.end(500));
  return connected;
}

describe('MqttBridge over a real socket', () => {
  it('appends readings keyed by device, in order, and acknowledges them', async () => {
    const log = new MemoryLog();
    await bridgeTopics(log);
    const { url } = await broker();
    const running = await bridge(log, url);
    expect(running.status().session).toMatchObject({ protocol: '3.1.1', connected: true });
    const client = await publisher(url);
    for (let i = 0; i < 300; i++) {
      await client.publish(`fleet/d${i % 7}`, JSON.stringify({ time: 1_700_000_000 + i, n: i }));
    }
    await client.flush();
    await until('all acknowledged', () => running.status().acknowledged === 300);
    const readings = await readingsOf(log);
    expect(readings).toHaveLength(300);
    for (let d = 0; d < 7; d++) {
      const ofDevice = readings.filter((each) => each.device === `d${d}`).map((each) => each.values['n']);
      expect(ofDevice).toEqual([...ofDevice].sort((a, b) => a! - b!));
    }
    expect(readings[0]).toMatchObject({ retained: false, redelivered: false });
    expect(new Set(readings.map((each) => each.fingerprint)).size).toBe(300);
    expect(running.status()).toMatchObject({ received: 300, readings: 300, pendingMessages: 0 });
  });

  it('begins with MQTT 5 and falls back to 3.1.1 by itself', async () => {
    const log = new MemoryLog();
    await bridgeTopics(log);
    const { url } = await broker();
    const types: string[] = [];
    const running = await bridge(log, url, { onEvent: ({ type }) => types.push(type) });
    expect(types.slice(0, 2)).toEqual(['fallback', 'disconnected']);
    expect(running.status().session).toMatchObject({ protocol: '3.1.1', connected: true });
  });

  it('ends every bad message as a dead letter or a counted drop', async () => {
    const log = new MemoryLog();
    await bridgeTopics(log);
    const { url } = await broker();
    const running = await bridge(log, url, {
      mapping: compileMapping({
        rules: [
          ...DEFAULT_MAPPING.rules,
          { topic: 'other/only', ignore: true },
          { topic: 'strict/+device', time: { path: 'time' }, rest: 'strict' },
        ],
      }),
    });
    const client = await publisher(url);
    const bad: [string, string, string][] = [
      ['fleet/a', 'no json', 'not-json'],
      ['fleet/a', '{"time":1700000000}', 'no-values'],
      ['fleet/a', '{"time":1700000000,"t":NaN}', 'not-finite'],
      ['fleet/a', '{"time":1700000000,"t":1e999}', 'not-finite'],
      ['strict/a', '{"time":1700000000,"t":"21"}', 'not-a-number'],
      ['fleet/a', 'x'.repeat(1_000_000), 'payload-too-large'],
      ['fleet/a', '{"time":0,"t":1}', 'time-out-of-range'],
      ['fleet/a', '{"time":"2090-01-01T00:00:00Z","t":1}', 'time-out-of-range'],
      ['fleet/a', '{"time":"yesterday","t":1}', 'bad-time'],
      ['other/only', '{}', 'ignored'],
    ];
    for (const [topic, payload] of bad) await client.publish(topic, payload);
    await client.publish('fleet/a', '{"time":1700000000,"t":21}');
    await until('all acknowledged', () => running.status().acknowledged === bad.length + 1);
    expect(await readingsOf(log)).toHaveLength(1);
    const letters = await deadLettersOf(log);
    const kept = bad.filter(([, , reason]) => reason !== 'no-values' && reason !== 'ignored');
    expect(letters.map((each) => each.reason)).toEqual(kept.map(([, , reason]) => reason));
    letters.forEach((each, i) => {
      expect(Buffer.from(each.payload).toString()).toBe(kept[i]![1].slice(0, 900_000));
    });
    expect(letters[0]).toMatchObject({ origin: 'mqtt', mqttTopic: 'fleet/a', offset: -1 });
    expect(running.status().dropped).toEqual({ 'no-values': 1, ignored: 1 });
  });

  it('acknowledges nothing while the log is down, resumes by itself, and keeps the order', async () => {
    const memory = new MemoryLog();
    await bridgeTopics(memory);
    const { log, mood } = moodyLog(memory);
    const { url } = await broker();
    const events: string[] = [];
    const running = await bridge(log, url, { onEvent: ({ type }) => events.push(type) });
    const client = await publisher(url);
    await client.publish('fleet/a', '{"time":1700000000,"n":0}');
    await until('the first', () => running.status().acknowledged === 1);
    mood.fail = new FleetcastError('LOG_UNAVAILABLE', 'away');
    for (let i = 1; i <= 50; i++) await client.publish('fleet/a', JSON.stringify({ time: 1_700_000_000 + i, n: i }));
    await until('received', () => running.status().received === 51);
    expect(running.status()).toMatchObject({ acknowledged: 1, logDown: true, pendingMessages: 50 });
    mood.fail = undefined;
    await until('resumed', () => running.status().acknowledged === 51);
    expect(events.filter((type) => type.startsWith('log-'))).toEqual(['log-down', 'log-up']);
    const readings = await readingsOf(memory);
    expect(readings.map((each) => each.values['n'])).toEqual(Array.from({ length: 51 }, (_, i) => i));
    // The first batch of the outage may have reached the log; what came later was not tried before it.
    expect(readings[0]!.redelivered).toBe(false);
    expect(readings[1]!.redelivered).toBe(true);
  });

  it('gets everything that was not acknowledged again after a restart, under the same session', async () => {
    const memory = new MemoryLog();
    await bridgeTopics(memory);
    const { log, mood } = moodyLog(memory);
    const { url } = await broker();
    const first = await bridge(log, url);
    const client = await publisher(url);
    mood.close();
    for (let i = 0; i < 20; i++) await client.publish('fleet/a', JSON.stringify({ time: 1_700_000_000 + i, n: i }));
    await until('received', () => first.status().received === 20);
    expect(first.status().acknowledged).toBe(0);
    await first.stop(10);
    for (let i = 20; i < 30; i++) await client.publish('fleet/a', JSON.stringify({ time: 1_700_000_000 + i, n: i }));
    await client.flush();
    const second = await bridge(memory, url);
    await until('redelivered', () => second.status().acknowledged === 30);
    const readings = await readingsOf(memory);
    expect(readings.map((each) => each.values['n'])).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });

  it('takes QoS 2 once acknowledged by the log, and QoS 0 as it comes', async () => {
    const log = new MemoryLog();
    await bridgeTopics(log);
    const { url } = await broker();
    const running = await bridge(log, url, {
      mapping: compileMapping({ rules: [{ ...DEFAULT_MAPPING.rules[0]!, qos: 2 }] }),
    });
    const client = await publisher(url);
    for (let i = 0; i < 30; i++) {
      const qos = (i % 3) as 0 | 1 | 2;
      await client.publish('fleet/a', JSON.stringify({ time: 1_700_000_000 + i, n: i }), { qos });
    }
    await client.flush();
    await until('all on the log', async () => (await readingsOf(log)).length === 30);
    await until('acknowledged', () => running.status().acknowledged === 20);
    expect(running.status().session.lastError).toBeUndefined();
  });

  it('appends time to every partition, after the readings that came before it', async () => {
    const log = new MemoryLog();
    await bridgeTopics(log, 3);
    const { url } = await broker();
    let clock = 1_700_000_000_000;
    const running = await bridge(log, url, { tickMs: 20, now: () => (clock += 7) });
    await until('ticks', async () => (await recordsOf(log, TOPICS.readings)).length >= 9);
    await running.stop();
    for (let partition = 0; partition < 3; partition++) {
      const { records } = await log.read(TOPICS.readings, partition, 0, { maxRecords: 3 });
      const times = records.map((record) => record.timestamp);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(records.length).toBe(3);
    }
  });

  it('tells retained messages from live ones', async () => {
    const log = new MemoryLog();
    await bridgeTopics(log);
    const { url } = await broker();
    const client = await publisher(url);
    await client.publish('fleet/a', '{"t":1}', { retain: true });
    await client.flush();
    await bridge(log, url);
    await client.publish('fleet/a', '{"t":2}', { retain: true });
    await until('both', async () => (await readingsOf(log)).length === 2);
    expect((await readingsOf(log)).map((each) => each.retained)).toEqual([true, false]);
  });

  it('speaks through WebSockets', async () => {
    // The WebSocket library that mqtt.js itself uses.
    const require = createRequire(createRequire(import.meta.url).resolve('mqtt'));
    const { WebSocketServer, createWebSocketStream } = require('ws') as {
      WebSocketServer: new (options: object) => Server;
      createWebSocketStream: (socket: object) => Duplex;
    };
    const aedes = await Aedes.createBroker();
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.on('connection', (socket) => aedes.handle(createWebSocketStream(socket).on('error', () => {})));
    await new Promise((resolve) => server.once('listening', resolve));
    cleanUps.push(async () => {
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      server.close();
    });
    const log = new MemoryLog();
    await bridgeTopics(log);
    const url = `ws://127.0.0.1:${(server.address() as { port: number }).port}`;
    const running = await bridge(log, url);
    const client = await publisher(url);
    for (let i = 0; i < 100; i++) await client.publish('fleet/a', JSON.stringify({ time: 1_700_000_000 + i, n: i }));
    await until('all', () => running.status().acknowledged === 100);
    expect((await readingsOf(log)).map((each) => each.values['n'])).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  it('holds the reader when too much waits for the log, and loses nothing', async () => {
    const memory = new MemoryLog();
    await bridgeTopics(memory);
    const { log, mood } = moodyLog(memory);
    const { url } = await broker();
    const running = await bridge(log, url, { maxPendingMessages: 40 });
    const open = mood.close();
    const client = await publisher(url, 1000);
    for (let i = 0; i < 500; i++) await client.publish('fleet/a', JSON.stringify({ time: 1_700_000_000 + i, n: i }));
    await until('held', () => running.status().held);
    expect(running.status().pendingMessages).toBe(40);
    open();
    await until('all', () => running.status().acknowledged === 500);
    expect((await readingsOf(memory)).map((each) => each.values['n'])).toEqual(
      Array.from({ length: 500 }, (_, i) => i),
    );
  });
});
