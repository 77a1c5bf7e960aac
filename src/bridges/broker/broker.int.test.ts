import { connect as tcp } from 'node:net';
import { connect, connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/bridge-kit.ts';
import { type Broker, type BrokerOptions, startBroker } from './broker.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

async function broker(options: BrokerOptions = {}): Promise<Broker> {
  const started = await startBroker({ port: 0, ...options });
  cleanUps.push(() => started.close());
  return started;
}

async function client(url: string, username?: string, password?: string, clientId?: string): Promise<MqttClient> {
  const connected = await connectAsync(
    url,
    {
      reconnectPeriod: 0,
      protocolVersion: 4,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(clientId === undefined ? {} : { clientId }),
    },
    false,
  );
  connected.on('error', () => {});
  cleanUps.push(() => connected.endAsync(true));
  return connected;
}

describe('startBroker', () => {
  it('takes a free port where the wanted one is taken, if it may', async () => {
    const first = await broker();
    await expect(startBroker({ port: first.port })).rejects.toMatchObject({ code: 'BROKER_FAILED' });
    const second = await broker({ port: first.port, anyPort: true });
    expect(second.port).not.toBe(first.port);
    expect(second.url).toBe(`mqtt://127.0.0.1:${second.port}`);
  });

  it('does not listen for others without users', async () => {
    await expect(startBroker({ host: '0.0.0.0', port: 0 })).rejects.toThrow(/users and passwords/);
    await expect(startBroker({ host: '::', port: 0 })).rejects.toMatchObject({ code: 'BROKER_FAILED' });
    await broker({ host: '0.0.0.0', allowAnonymous: true });
    await broker({ host: '0.0.0.0', users: [{ name: 'a', password: 'b' }] });
  });

  it('asks for the password, and lets each publish and read only what it may', async () => {
    const running = await broker({
      users: [
        { name: 'dev', password: 'p1', publish: ['fleet/%c'], subscribe: [] },
        { name: 'app', password: 'p2', publish: [], subscribe: ['fleet/#'] },
      ],
    });
    for (const [name, password] of [
      ['dev', 'wrong'],
      ['nobody', 'p1'],
      [undefined, undefined],
    ] as const) {
      await expect(client(running.url, name, password)).rejects.toMatchObject({ code: expect.any(Number) as number });
    }
    const app = await client(running.url, 'app', 'p2');
    const seen: string[] = [];
    app.on('message', (topic) => seen.push(topic));
    expect((await app.subscribeAsync('fleet/#', { qos: 1 }))[0]).toMatchObject({ qos: 1 });
    await expect(app.subscribeAsync('#')).rejects.toThrow();

    const device = await client(running.url, 'dev', 'p1', 'pump1');
    await device.publishAsync('fleet/pump1', 'x', { qos: 1 });
    await until('forwarded', () => seen.length === 1);
    const closed = new Promise<void>((resolve) => device.once('close', () => resolve()));
    device.publish('fleet/pump2', 'x', { qos: 1 });
    await closed;
    const greedy = await client(running.url, 'dev', 'p1', '#');
    const closedToo = new Promise<void>((resolve) => greedy.once('close', () => resolve()));
    greedy.publish('fleet/pump2', 'x', { qos: 1 });
    await closedToo;
    expect(seen).toEqual(['fleet/pump1']);
    expect(running.status().refused).toMatchObject({ 'bad-credentials': 3, 'topic-not-allowed': 2 });
  });

  it('bounds packets and connections', async () => {
    const running = await broker({ maxPacketBytes: 10_000, maxConnections: 2 });
    const big = await client(running.url);
    const closed = new Promise<void>((resolve) => big.once('close', () => resolve()));
    big.publish('a', Buffer.alloc(500_000), { qos: 1 });
    await closed;
    expect(running.status()).toMatchObject({ published: 0, refused: { 'packet-too-large': 1 } });
    await client(running.url);
    await client(running.url);
    await expect(client(running.url)).rejects.toThrow();
    expect(running.status().refused['too-many-connections']).toBe(1);
  });

  it('bounds what it keeps for sessions, and never at the cost of those that must lose nothing', async () => {
    const running = await broker({ maxQueuedMessages: 20, neverDrop: ['bridge'] });
    const session = async (clientId: string) => {
      const connected = await connectAsync(running.url, {
        clientId,
        clean: false,
        protocolVersion: 4,
        reconnectPeriod: 0,
      });
      cleanUps.push(() => connected.endAsync(true));
      return connected;
    };
    const forgotten = await session('forgotten');
    await forgotten.subscribeAsync('a/#', { qos: 1 });
    await forgotten.endAsync(true);
    const publisher = await client(running.url);
    for (let i = 0; i < 30; i++) await publisher.publishAsync('a/x', String(i), { qos: 1 });
    await until('dropped', () => running.status().refused['session-queue-full'] === 10);

    const bridge = await session('bridge');
    await bridge.subscribeAsync('b/#', { qos: 1 });
    await bridge.endAsync(true);
    const closed = new Promise<void>((resolve) => publisher.once('close', () => resolve()));
    for (let i = 0; i < 40; i++) {
      await Promise.race([publisher.publishAsync('b/x', String(i), { qos: 1 }).catch(() => {}), closed]);
    }
    await closed;
    expect(running.status().refused['queue-full']).toBeGreaterThan(0);
    const seen: number[] = [];
    const again = connect(running.url, { clientId: 'bridge', clean: false, protocolVersion: 4, reconnectPeriod: 0 });
    cleanUps.push(() => again.endAsync(true));
    again.on('message', (_topic, payload) => seen.push(Number(payload)));
    await until('what was accepted', () => seen.length >= 20);
    const second = await client(running.url);
    await until('room again', async () => {
      await second.publishAsync('b/x', '99', { qos: 1 });
      return seen.includes(99);
    });
  });

  it('survives what is no MQTT', async () => {
    const running = await broker();
    for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(100, 0xff), Buffer.from([0x10, 0xff])]) {
      const socket = tcp(running.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.end(bytes);
      await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    }
    const good = await client(running.url);
    await good.publishAsync('a', 'b', { qos: 1 });
    expect(running.status().published).toBe(1);
  });
});
