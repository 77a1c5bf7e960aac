import { createServer, type Socket, connect as tcp } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { bridgeTopics, readingsOf, TOPICS, until } from '../../../test/bridge-kit.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { startBroker } from '../broker/broker.ts';
import { DEFAULT_MAPPING } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { MqttBridge } from './bridge.ts';
import { connectPublisher } from './publisher.ts';

const cleanUps: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

/** Bytes that are the same in every run. */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed * 2654435761;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

async function startBridge(url: string) {
  const log = new MemoryLog();
  await bridgeTopics(log);
  const bridge = new MqttBridge({
    log,
    mapping: compileMapping(DEFAULT_MAPPING),
    topics: TOPICS,
    now: Date.now,
    tickMs: 0,
    connection: { url, reconnectMs: { min: 2, max: 5 }, protocol: '3.1.1', connectTimeoutMs: 200 },
  });
  await bridge.start();
  cleanUps.push(() => bridge.stop(100));
  return { log, bridge };
}

describe('a hostile broker', () => {
  it('cannot bring the bridge down, and the bridge goes on with an honest one', async () => {
    let connections = 0;
    const sockets = new Set<Socket>();
    const CONNACK = Buffer.from([0x20, 2, 0, 0]);
    const SUBACK = Buffer.from([0x90, 3, 0, 1, 1]);
    const attacks = [
      () => noise(2_000, connections),
      () => Buffer.concat([CONNACK, noise(5_000, connections)]),
      // A PUBLISH whose topic is longer than the packet, one without a topic, one with a wildcard, QoS 3.
      () => Buffer.concat([CONNACK, Buffer.from([0x32, 4, 0xff, 0xff, 0x61, 0])]),
      () => Buffer.concat([CONNACK, Buffer.from([0x30, 2, 0, 0])]),
      () => Buffer.concat([CONNACK, Buffer.from([0x30, 3, 0, 1, 0x23])]),
      () => Buffer.concat([CONNACK, Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1])]),
      // Acknowledgements of what was never sent, a second CONNACK, a CONNECT.
      () => Buffer.concat([CONNACK, SUBACK, Buffer.from([0x40, 2, 0, 9, 0x62, 2, 0, 9, 0x50, 2, 0, 9]), CONNACK]),
      () => Buffer.concat([CONNACK, Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 0])]),
      // A remaining length of five bytes, and one of 256 MB of which nothing comes.
      () => Buffer.concat([CONNACK, Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0xff])]),
      () => Buffer.concat([CONNACK, Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1])]),
    ];
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write(attacks[connections % attacks.length]!());
        connections++;
        setTimeout(() => socket.destroy(), 5);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { log, bridge } = await startBridge(`mqtt://127.0.0.1:${port}`);
    await until('enough attacks', () => connections >= 3 * attacks.length, 25_000);
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));

    const honest = await startBroker({ port });
    cleanUps.push(() => honest.close());
    await until('subscribed', () => bridge.status().session.subscribed);
    const publisher = await connectPublisher({ url: honest.url });
    cleanUps.push(() => publisher.end(100));
    await publisher.publish('fleet/a', '{"t":1}');
    await until('arrived', async () => (await readingsOf(log)).length === 1);
  });
});

describe('hostile clients of the embedded broker', () => {
  it('disturb nobody else', async () => {
    const broker = await startBroker({ port: 0, maxPacketBytes: 100_000 });
    cleanUps.push(() => broker.close());
    const { log, bridge } = await startBridge(broker.url);
    await bridge.ready();
    const publisher = await connectPublisher({ url: broker.url });
    cleanUps.push(() => publisher.end(100));
    const CONNECT = Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 1, 0x78]);
    for (let i = 0; i < 60; i++) {
      const socket = tcp(broker.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(i % 2 === 0 ? noise(3_000, i) : Buffer.concat([CONNECT, noise(3_000, i)]));
      setTimeout(() => socket.destroy(), 50);
      await publisher.publish('fleet/good', JSON.stringify({ n: i }));
    }
    await publisher.flush();
    await until('all good ones', async () => (await readingsOf(log)).filter((r) => r.device === 'good').length === 60);
    expect(bridge.status().session.connections).toBe(1);
  });
});

describe('many names', () => {
  it('are bounded, counted and refused with a reason', async () => {
    const broker = await startBroker({ port: 0 });
    cleanUps.push(() => broker.close());
    const log = new MemoryLog();
    await bridgeTopics(log);
    const mapping = compileMapping({
      ...DEFAULT_MAPPING,
      limits: { maxDevices: 100 },
      onReject: { 'too-many-devices': 'drop' },
    });
    const bridge = new MqttBridge({ log, mapping, topics: TOPICS, now: Date.now, connection: { url: broker.url } });
    await bridge.start();
    cleanUps.push(() => bridge.stop(100));
    await bridge.ready();
    const publisher = await connectPublisher({ url: broker.url, window: 1_000 });
    cleanUps.push(() => publisher.end(100));
    for (let i = 0; i < 5_000; i++) await publisher.publish(`fleet/device-${i}`, '{"t":1}');
    await until('all', () => bridge.status().acknowledged === 5_000);
    expect(bridge.status()).toMatchObject({ readings: 100, dropped: { 'too-many-devices': 4_900 } });
    expect(mapping.size().devices).toBe(100);
  });
});
