import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  bridgeTopics,
  bridgeWithPublisher,
  moodyLog,
  mosquittoFor,
  readingsOf,
  TOPICS,
  until,
} from '../../../test/bridge-kit.ts';
import { type Certificates, hasOpenssl, makeCertificates } from '../../../test/certificates.ts';
import { haveMosquitto } from '../../../test/mosquitto.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { DEFAULT_MAPPING } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { MqttBridge, type MqttBridgeOptions } from './bridge.ts';
import { connectPublisher } from './publisher.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

const mosquitto = (...settings: string[]) => mosquittoFor(cleanUps, ...settings);
const setUp = (url: string, options: Partial<MqttBridgeOptions> = {}, publisherId = 'publisher') =>
  bridgeWithPublisher(cleanUps, url, options, publisherId);

const message = (n: number) => JSON.stringify({ time: 1_700_000_000 + n, n });
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe.skipIf(!haveMosquitto)('with a real Mosquitto (needs its package or Docker)', () => {
  it('speaks MQTT 5, and QoS 0, 1 and 2', async () => {
    const { url } = await mosquitto();
    const { log, bridge, publisher } = await setUp(url, {
      mapping: compileMapping({ rules: [{ ...DEFAULT_MAPPING.rules[0]!, qos: 2 }] }),
      receiveMaximum: 10,
    });
    expect(bridge.status().session).toMatchObject({ protocol: '5', connections: 1 });
    for (let i = 0; i < 300; i++) await publisher.publish('fleet/a', message(i), { qos: (i % 3) as 0 | 1 | 2 });
    await until('all', () => bridge.status().acknowledged === 200 && bridge.status().received === 300);
    const readings = await readingsOf(log);
    for (const qos of [0, 1, 2]) {
      expect(readings.map((each) => each.values['n']!).filter((n) => n % 3 === qos)).toEqual(
        upTo(300).filter((n) => n % 3 === qos),
      );
    }
    expect(bridge.status().session).toMatchObject({ connections: 1, lastError: undefined });
  });

  it('speaks MQTT 3.1.1 where it is told to', async () => {
    const broker = await mosquitto();
    const { log, bridge, publisher } = await setUp(broker.url, { connection: { url: broker.url, protocol: '3.1.1' } });
    expect(bridge.status().session.protocol).toBe('3.1.1');
    for (let i = 0; i < 100; i++) await publisher.publish('fleet/a', message(i));
    await until('all', () => bridge.status().acknowledged === 100);
    expect((await readingsOf(log)).map((each) => each.values['n'])).toEqual(upTo(100));
  });

  it('goes on when the broker is killed and comes back, in order, with nothing lost', async () => {
    const broker = await mosquitto('persistence true', 'autosave_on_changes true', 'autosave_interval 1');
    const { log, bridge, publisher } = await setUp(broker.url);
    for (let i = 0; i < 50; i++) await publisher.publish('fleet/a', message(i));
    await until('the first', () => bridge.status().acknowledged === 50);
    await broker.kill();
    await until('noticed', () => !bridge.status().session.connected);
    await broker.start();
    await until('back', () => bridge.status().session.subscribed, 20_000);
    for (let i = 50; i < 100; i++) await publisher.publish('fleet/a', message(i));
    const seen = async () => [...new Set((await readingsOf(log)).map((each) => each.values['n']))];
    await until('the rest', async () => (await seen()).length === 100);
    expect(await seen()).toEqual(upTo(100));
  });

  it('keeps the session alive while the reader is held longer than the keep-alive', async () => {
    const { url } = await mosquitto();
    const memory = new MemoryLog();
    const { log: slow, mood } = moodyLog(memory);
    const open = mood.close();
    await bridgeTopics(memory);
    const bridge = new MqttBridge({
      log: slow,
      mapping: compileMapping(DEFAULT_MAPPING),
      topics: TOPICS,
      now: Date.now,
      tickMs: 0,
      maxPendingMessages: 5,
      connection: { url, keepalive: 1 },
    });
    await bridge.start();
    cleanUps.push(() => bridge.stop());
    await bridge.ready();
    const publisher = await connectPublisher({ url });
    cleanUps.push(() => publisher.end(500));
    for (let i = 0; i < 50; i++) await publisher.publish('fleet/a', message(i));
    await until('held', () => bridge.status().held);
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    expect(bridge.status()).toMatchObject({ held: true, session: { connected: true, connections: 1 } });
    open();
    await until('all', () => bridge.status().acknowledged === 50);
    expect(bridge.status().session.connections).toBe(1);
    expect((await readingsOf(memory)).map((each) => each.values['n'])).toEqual(upTo(50));
  });

  describe.skipIf(!hasOpenssl)('over TLS', () => {
    let certificates: Certificates;
    beforeAll(() => {
      certificates = makeCertificates();
    });
    afterAll(() => certificates.remove());

    it('shows its certificate, and checks that of the broker', async () => {
      const { ca, server, client, otherCa } = certificates;
      const { port } = await mosquitto(
        `cafile ${ca}`,
        `certfile ${server.certificate}`,
        `keyfile ${server.key}`,
        'require_certificate true',
      );
      const url = `mqtts://localhost:${port}`;
      const { log, bridge, publisher } = await setUp(url, { connection: { url, tls: { ca, ...client } } });
      for (let i = 0; i < 20; i++) await publisher.publish('fleet/a', message(i));
      await until('all', () => bridge.status().acknowledged === 20);
      expect(await readingsOf(log)).toHaveLength(20);
      await expect(connectPublisher({ url, tls: { ca: otherCa, ...client } })).rejects.toThrow(/certificate|signed/);
      await expect(connectPublisher({ url, tls: { ca }, connectTimeoutMs: 2_000 })).rejects.toThrow();
      await expect(connectPublisher({ url, tls: { ca: '/nowhere.crt' } })).rejects.toThrow(/cannot read the CA file/);
      await expect(connectPublisher({ url: 'mqtt://me:geheim@localhost' })).rejects.toThrow(/do not belong/);
    });
  });

  it('shares a subscription with other bridges', async () => {
    const { url } = await mosquitto();
    const shared = { sharedGroup: 'g' };
    const first = await setUp(url, { ...shared, clientId: 'one' });
    const second = await setUp(url, { ...shared, clientId: 'two' }, 'publisher-2');
    for (let i = 0; i < 200; i++) await first.publisher.publish(`fleet/d${i % 5}`, message(i));
    await until('all', () => first.bridge.status().acknowledged + second.bridge.status().acknowledged === 200);
    const both = [...(await readingsOf(first.log)), ...(await readingsOf(second.log))];
    expect(both.map((each) => each.values['n']).sort((a, b) => a! - b!)).toEqual(upTo(200));
    expect(second.bridge.status().received).toBeGreaterThan(0);
  });

  it('tells wrong credentials, and does not show the right ones', async () => {
    const { url } = await mosquitto('allow_anonymous false');
    const log = new MemoryLog();
    await bridgeTopics(log);
    const events: string[] = [];
    const bridge = new MqttBridge({
      log,
      mapping: compileMapping(DEFAULT_MAPPING),
      topics: TOPICS,
      now: Date.now,
      connection: { url, username: 'me', password: 'geheim', reconnectMs: { min: 20, max: 50 } },
      onEvent: (event) => events.push(JSON.stringify(event)),
    });
    await bridge.start();
    cleanUps.push(() => bridge.stop());
    await until('refused twice', () => events.filter((event) => event.includes('"error"')).length >= 2);
    expect(bridge.status().session).toMatchObject({ connected: false });
    expect(bridge.status().session.lastError).toMatch(/not authorized|bad user/i);
    expect(events.join() + JSON.stringify(bridge.status())).not.toContain('geheim');
    await expect(connectPublisher({ url, username: 'me', password: 'geheim' })).rejects.toMatchObject({
      code: 'BRIDGE_CONNECT',
      message: expect.not.stringContaining('geheim') as string,
    });
  });
});
