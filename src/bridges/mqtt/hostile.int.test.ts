import { createServer, type Socket, connect as tcp } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import {
  bridgeTopics,
  bridgeWithPublisher,
  mosquittoFor,
  readingsOf,
  TOPICS,
  until,
} from '../../../test/bridge-kit.ts';
import { mosquittoProgram } from '../../../test/mosquitto.ts';
import { decodeRecord } from '../../events/codec.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { startBroker } from '../broker/broker.ts';
import { DEFAULT_MAPPING } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { MqttBridge } from './bridge.ts';
import { connectPublisher } from './publisher.ts';
import { RecordMaker } from './record-maker.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
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

/** Bytes of the heap after everything that can go has gone. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

describe('many names', () => {
  const topics = {
    readings: { name: 'readings', partitions: 4 },
    deadLetters: { name: 'dead-letters', partitions: 1 },
  };
  const message = (topic: string, payload: string) => ({
    topic,
    payload: Buffer.from(payload),
    retained: false,
    duplicate: false,
  });

  it('300,000 of them leave what the limits allow, are counted and refused with a reason, and disturb no known device', () => {
    const mapping = compileMapping({ rules: [{ topic: 'fleet/#device', rest: 'numbers' }] });
    const maker = new RecordMaker(mapping, topics, 1_000);
    maker.make(message('fleet/honest', '{"t":1}'), Date.now());
    const before = heapUsed();
    const names = 300_000;
    const quantities = 50_000;
    let refused = '';
    for (let i = 0; i < quantities; i++) {
      const [record] = maker.make(message(`fleet/${i}/${'x'.repeat(i % 100)}`, `{"q${i}":1}`), Date.now());
      if (i === quantities - 1) refused = String((decodeRecord(record!.value!) as { message?: string }).message);
      if (i % 1_000 === 0) maker.make(message('fleet/honest', '{"t":1}'), Date.now());
    }
    // 10,000 quantities are known by then: a new device with a known one is taken until there are too many devices.
    for (let i = 0; i < names; i++) maker.make(message(`fleet/d${i}`, '{"t":1}'), Date.now());
    expect(mapping.size()).toEqual({ devices: 250_000, quantities: 10_000 });
    expect(Object.fromEntries(maker.deadLetters)).toEqual({
      'too-many-quantities': quantities - 9_999,
      'too-many-devices': names - (250_000 - 9_999 - 1),
    });
    expect(refused).toMatch(/would be more than 10000 quantities/);
    const honest = maker.make(message('fleet/honest', '{"t":2}'), Date.now());
    expect(decodeRecord(honest[0]!.value!)).toMatchObject({ type: 'Reading', device: 'honest', values: { t: 2 } });
    expect(heapUsed() - before).toBeLessThan(120 * 1024 * 1024);
  });

  it('known devices keep their places over a restart', async () => {
    const log = new MemoryLog();
    await bridgeTopics(log);
    const broker = await startBroker({ port: 0 });
    cleanUps.push(() => broker.close());
    const start = async (maxDevices: number) => {
      const mapping = compileMapping({ ...DEFAULT_MAPPING, limits: { maxDevices } });
      const bridge = new MqttBridge({ log, mapping, topics: TOPICS, now: Date.now, connection: { url: broker.url } });
      await bridge.start();
      cleanUps.push(() => bridge.stop(100));
      await bridge.ready();
      return bridge;
    };
    const publisher = await connectPublisher({ url: broker.url });
    cleanUps.push(() => publisher.end(100));
    const first = await start(10);
    await publisher.publish('fleet/honest', '{"t":1}');
    await until('taken', () => first.status().readings === 1);
    await first.stop();
    const second = await start(10);
    for (let i = 0; i < 50; i++) await publisher.publish(`fleet/x${i}`, '{"t":1}');
    await publisher.publish('fleet/honest', '{"t":2}');
    await until('all', () => second.status().acknowledged === 51);
    expect(second.status()).toMatchObject({ readings: 10, deadLetters: { 'too-many-devices': 41 } });
    expect(
      (await readingsOf(log)).filter(({ device }) => device === 'honest').map(({ values }) => values['t']),
    ).toEqual([1, 2]);
  });

  // The long form: FLEETCAST_FLOOD=200000.
  const flood = Number(process.env['FLEETCAST_FLOOD'] ?? 20_000);
  it.skipIf(mosquittoProgram === undefined)(
    `through a real Mosquitto, ${flood} of them: bounded, counted, and an honest device loses nothing`,
    async () => {
      const mosquitto = await mosquittoFor(cleanUps);
      const limits = { maxDevices: 1_000, maxQuantities: 500 };
      const mapping = compileMapping({ ...DEFAULT_MAPPING, limits, onReject: { 'too-many-devices': 'drop' } });
      const { log, bridge, publisher: honest } = await bridgeWithPublisher(cleanUps, mosquitto.url, { mapping });
      await honest.publish('fleet/honest', '{"t":0}');
      await until('known', () => bridge.status().readings === 1);
      const hostile = await connectPublisher({ url: mosquitto.url, window: 2_000 });
      cleanUps.push(() => hostile.end(100));
      const before = heapUsed();
      let sent = 0;
      for (let i = 0; i < flood; i++) {
        await hostile.publish(`fleet/device-${i}`, `{"t":1}`);
        if (i % 200 === 0) await honest.publish('fleet/honest', `{"t":${++sent}}`);
      }
      await until('all', () => bridge.status().acknowledged === flood + sent + 1, 240_000);
      expect(bridge.status()).toMatchObject({
        readings: 999 + sent + 1,
        dropped: { 'too-many-devices': flood - 999 },
        session: { connections: 1 },
      });
      expect(mapping.size().devices).toBe(1_000);
      const values = (await readingsOf(log))
        .filter(({ device }) => device === 'honest')
        .map(({ values }) => values['t']);
      expect(values).toEqual(Array.from({ length: sent + 1 }, (_, i) => i));
      expect(heapUsed() - before).toBeLessThan(64 * 1024 * 1024);
    },
    300_000,
  );
});
