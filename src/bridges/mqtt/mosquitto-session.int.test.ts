import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  afterQuality,
  bridgeTopics,
  bridgeWithPublisher,
  moodyLog,
  mosquittoFor,
  readingsOf,
  TOPICS,
  until,
} from '../../../test/bridge-kit.ts';
import { freePort } from '../../../test/containers/free-port.ts';
import { haveMosquitto, passwordLine } from '../../../test/mosquitto.ts';
import { FleetcastError } from '../../errors.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { DEFAULT_MAPPING } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import type { BridgeEvent, MqttBridgeOptions } from './bridge.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});
const mosquitto = (...settings: string[]) => mosquittoFor(cleanUps, ...settings);
const setUp = (url: string, options: Partial<MqttBridgeOptions> = {}, publisherId = 'publisher') =>
  bridgeWithPublisher(cleanUps, url, options, publisherId);
const message = (n: number) => JSON.stringify({ time: 1_700_000_000 + n, n });
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const numbers = async (log: Parameters<typeof readingsOf>[0]) =>
  (await readingsOf(log)).map((each) => each.values['n']);

describe.skipIf(!haveMosquitto)('the session with a real Mosquitto (needs its package or Docker)', () => {
  it('is sent no more than receiveMaximum before it acknowledges', async () => {
    const { url } = await mosquitto();
    const { log, mood } = moodyLog(new MemoryLog());
    const open = mood.close();
    const { bridge, publisher } = await setUp(url, { log, receiveMaximum: 10 });
    for (let i = 0; i < 100; i++) await publisher.publish('fleet/a', message(i));
    // The broker has all of them, and the bridge what it may have.
    await publisher.flush();
    await until('ten', () => bridge.status().received === 10);
    expect(bridge.status()).toMatchObject({ inFlight: 10, pendingMessages: 10, acknowledged: 0 });
    open();
    await until('all', () => bridge.status().acknowledged === 100);
    expect(bridge.status()).toMatchObject({ inFlight: 0, oldestPendingMs: 0, received: 100, redelivered: 0 });
    expect(await numbers(log)).toEqual(upTo(100));
  });

  it.each([
    ['5'],
    ['3.1.1'],
  ] as const)('names another client with its id (MQTT %s), and gives way ever longer', async (protocol) => {
    const { url } = await mosquitto();
    const events: BridgeEvent[] = [];
    const first = await setUp(url, { connection: { url, protocol }, onEvent: (event) => events.push(event) });
    await setUp(url, { connection: { url, protocol } }, 'publisher-2');
    const { bridge } = first;
    await until('the second takeover', () => (bridge.status().session.takeovers ?? 0) >= 2);
    const { session } = bridge.status();
    expect(session.takenOver).toContain('another client uses the client id "fleetcast-bridge" at mqtt://');
    expect(events).toContainEqual({ type: 'taken-over', message: session.takenOver });
  });

  it('gives way for as long as it may, instead of some times a second', async () => {
    const { url } = await mosquitto();
    const reconnectMs = { min: 20, max: 1_500 };
    const { bridge } = await setUp(url, { connection: { url, reconnectMs } });
    await setUp(url, { connection: { url, reconnectMs } }, 'publisher-2');
    // 20, 40, … 1,280 ms, then 1,500 each: without it there would be some hundreds of connections by then.
    const started = Date.now();
    await until('eight takeovers', () => (bridge.status().session.takeovers ?? 0) >= 8, 60_000);
    expect(Date.now() - started).toBeGreaterThan(1_500);
  });

  it('misses no session that a client id has never had', async () => {
    const broker = await mosquitto();
    const log = new MemoryLog();
    const topics = { ...TOPICS, memory: 'bridge-memory' };
    await log.ensureTopics([{ name: topics.memory, partitions: 1, cleanup: 'compact' }]);
    const start = (clientId: string) => setUp(broker.url, { log, topics, clientId }, `publisher of ${clientId}`);
    const lost = ({ bridge }: Awaited<ReturnType<typeof start>>) => bridge.status().session.sessionsLost;
    const first = await start('one');
    await first.publisher.publish('fleet/a', message(0));
    await until('it', () => first.bridge.status().acknowledged === 1);
    await first.bridge.stop();
    // A second service on this log: that there are readings says nothing about its session.
    const second = await start('two');
    expect(lost(second)).toBe(0);
    await second.bridge.stop();
    await broker.kill();
    await broker.start();
    for (const clientId of ['one', 'two']) {
      const again = await setUp(broker.url, { log, topics, clientId }, `another publisher of ${clientId}`);
      expect(lost(again)).toBe(1);
      await again.bridge.stop();
    }
  });

  it('says that the broker has forgotten the session, whoever began it', async () => {
    const broker = await mosquitto();
    const log = new MemoryLog();
    const events: string[] = [];
    const onEvent = ({ type }: BridgeEvent) => events.push(type);
    const first = await setUp(broker.url, { log, onEvent });
    await first.publisher.publish('fleet/a', message(0));
    await until('it', () => first.bridge.status().acknowledged === 1);
    expect(events).not.toContain('session-lost');
    // It keeps nothing on its disk.
    await broker.kill();
    await broker.start();
    await until('the loss', () => first.bridge.status().session.sessionsLost === 1);
    await first.bridge.stop();
    await broker.kill();
    await broker.start();
    const second = await setUp(broker.url, { log, onEvent }, 'publisher-2');
    expect(second.bridge.status().session.sessionsLost).toBe(1);
    expect(events.filter((type) => type === 'session-lost')).toHaveLength(2);
  });

  it('shows what the broker has dropped while it was away', async () => {
    const { url } = await mosquitto('max_queued_messages 10', 'max_inflight_messages 10', 'sys_interval 1');
    const log = new MemoryLog();
    const first = await setUp(url, { log });
    await first.bridge.stop();
    for (const n of upTo(100)) await first.publisher.publish('fleet/a', message(n));
    await first.publisher.flush();
    const events: BridgeEvent[] = [];
    const { bridge } = await setUp(url, { log, onEvent: (event) => events.push(event) }, 'publisher-2');
    await until('the count', () => bridge.status().session.brokerDropped !== undefined);
    await until('all of it', () => (bridge.status().session.brokerDropped ?? 0) + bridge.status().received >= 100);
    expect(events).toContainEqual(expect.objectContaining({ type: 'broker-dropped' }));
    expect((await numbers(log)).length).toBeLessThan(100);
  });

  it('takes user and password', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-passwords-'));
    cleanUps.push(async () => rmSync(folder, { recursive: true }));
    const file = join(folder, 'passwords');
    writeFileSync(file, passwordLine('me', 'geheim'));
    const { url } = await mosquitto('allow_anonymous false', `password_file ${file}`);
    const { bridge, publisher } = await setUp(url, { connection: { url, username: 'me', password: 'geheim' } });
    await publisher.publish('fleet/a', message(0));
    await until('one', () => bridge.status().acknowledged === 1);
    expect(bridge.status().session.protocol).toBe('5');
  });

  it('goes through a WebSocket', async () => {
    const port = await freePort();
    await mosquitto(`listener ${port} 127.0.0.1`, 'protocol websockets');
    const { log, bridge, publisher } = await setUp(`ws://127.0.0.1:${port}`);
    for (let i = 0; i < 20; i++) await publisher.publish('fleet/a', message(i));
    await until('all', () => bridge.status().acknowledged === 20);
    expect(await numbers(log)).toEqual(upTo(20));
  });

  it('tells retained messages from live ones, and takes them once', async () => {
    const { url } = await mosquitto();
    const log = new MemoryLog();
    const first = await setUp(url, { log });
    await first.publisher.publish('fleet/a', message(0), { qos: 1, retain: true });
    await until('the live one', () => first.bridge.status().acknowledged === 1);
    await first.bridge.stop();
    // Under another name it is a new session, which gets what is retained.
    const second = await setUp(url, { log, clientId: 'other' }, 'publisher-2');
    await until('the retained one', () => second.bridge.status().acknowledged === 1);
    await second.publisher.publish('fleet/a', message(1), { qos: 1 });
    await until('the next', () => second.bridge.status().acknowledged === 2);
    expect((await readingsOf(log)).map(({ values, retained }) => [values['n'], retained])).toEqual([
      [0, false],
      [0, true],
      [1, false],
    ]);
    expect((await afterQuality(log)).map(({ values }) => values['n'])).toEqual([0, 1]);
  });

  it.each([1, 2] as const)('keeps a message of QoS %i with the broker until the log has it', async (qos) => {
    const { url } = await mosquitto();
    const memory = new MemoryLog();
    const { log, mood } = moodyLog(memory);
    const mapping = compileMapping({ rules: [{ ...DEFAULT_MAPPING.rules[0]!, qos: 2 }] });
    const first = await setUp(url, { log, mapping });
    mood.close();
    for (let i = 0; i < 30; i++) await first.publisher.publish('fleet/a', message(i), { qos });
    await until('received', () => first.bridge.status().received === 30);
    expect(first.bridge.status().acknowledged).toBe(0);
    await first.bridge.stop(10);
    expect(await numbers(memory)).toEqual([]);
    const second = await setUp(url, { log: memory, mapping }, 'publisher-2');
    await until('again', () => second.bridge.status().acknowledged === 30);
    expect(second.bridge.status().redelivered).toBe(30);
    expect(await numbers(memory)).toEqual(upTo(30));
  });

  it('tells what a broker sends again that has forgotten the acknowledgements', async () => {
    const broker = await mosquitto('persistence true');
    const { log, mood } = moodyLog(new MemoryLog());
    const open = mood.close();
    const { bridge, publisher } = await setUp(broker.url, { log, receiveMaximum: 10 });
    for (let i = 0; i < 300; i++) await publisher.publish('fleet/a', message(i));
    await publisher.flush();
    await broker.save();
    open();
    await until('all', () => bridge.status().acknowledged === 300);
    await broker.kill();
    await until('noticed', () => !bridge.status().session.connected);
    await broker.start();
    await until('all again', () => bridge.status().acknowledged === 600);
    // Only the ten that were in flight come marked as sent before.
    expect(bridge.status().redelivered).toBe(300);
    expect(await numbers(log)).toHaveLength(600);
    expect((await afterQuality(log)).map(({ values }) => values['n'])).toEqual(upTo(300));
  });

  it('makes one of each message of a sensor that always says the same', async () => {
    const { url } = await mosquitto();
    const memory = new MemoryLog();
    const { log, mood } = moodyLog(memory);
    const first = await setUp(url, { log, retryMs: { min: 5, max: 20 } });
    const pulse = async (count: number) => {
      for (let i = 0; i < count; i++) await first.publisher.publish('fleet/meter', '{"pulses":1}');
      await first.publisher.flush();
    };
    await pulse(20);
    await until('the first', () => first.bridge.status().acknowledged === 20);
    // They reach the log, again and again, and the bridge does not know.
    mood.fail = new FleetcastError('LOG_UNAVAILABLE', 'the answer is lost');
    mood.writesAnyway = true;
    await pulse(30);
    await until('repeated', async () => (await readingsOf(memory)).length > 60);
    await first.bridge.stop(10);
    await pulse(7);
    const second = await setUp(url, { log: memory }, 'publisher-2');
    await until('again', () => second.bridge.status().acknowledged === 37);
    expect((await readingsOf(memory)).length).toBeGreaterThan(60);
    expect(await afterQuality(memory)).toHaveLength(57);
  });

  it('keeps the order of each device with several bridges on disjoint filters', async () => {
    const { url } = await mosquitto();
    const log = new MemoryLog();
    await bridgeTopics(log);
    const of = (site: string) => compileMapping({ rules: [{ topic: `${site}/+device`, time: { path: 'time' } }] });
    const north = await setUp(url, { log, clientId: 'north', mapping: of('north') });
    const south = await setUp(url, { log, clientId: 'south', mapping: of('south') }, 'publisher-2');
    for (let i = 0; i < 300; i++) {
      await north.publisher.publish(
        `${i % 2 === 0 ? 'north' : 'south'}/${i % 2 === 0 ? 'n' : 's'}${i % 6}`,
        message(i),
      );
    }
    await until('all', () => north.bridge.status().acknowledged + south.bridge.status().acknowledged === 300);
    const readings = await readingsOf(log);
    expect(readings).toHaveLength(300);
    for (const device of new Set(readings.map((each) => each.device))) {
      const sent = readings.filter((each) => each.device === device).map((each) => each.values['n']!);
      expect(sent).toEqual(sent.toSorted((a, b) => a - b));
    }
    expect(south.bridge.status().received).toBe(150);
  });
});
