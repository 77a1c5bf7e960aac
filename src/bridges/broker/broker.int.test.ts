import { readFileSync } from 'node:fs';
import { connect as tcp } from 'node:net';
import { connect, connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/bridge-kit.ts';
import { hasOpenssl, makeCertificates } from '../../../test/certificates.ts';
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
    const keeps = [{ filter: 'b/#', qos: 1 as const }];
    const running = await broker({ maxQueuedMessages: 20, own: [{ clientId: 'bridge', password: 'own', keeps }] });
    const session = async (clientId: string) => {
      const connected = await connectAsync(running.url, {
        clientId,
        username: clientId,
        password: 'own',
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

    const closed = new Promise<void>((resolve) => publisher.once('close', () => resolve()));
    for (let i = 0; i < 40 && publisher.connected; i++) {
      publisher.publish('b/x', String(i), { qos: 1 });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await closed;
    expect(running.status().refused['queue-full']).toBeGreaterThan(0);
    const seen: number[] = [];
    const again = connect(running.url, {
      clientId: 'bridge',
      username: 'bridge',
      password: 'own',
      clean: false,
      protocolVersion: 4,
      reconnectPeriod: 0,
    });
    cleanUps.push(() => again.endAsync(true));
    again.on('message', (_topic, payload) => seen.push(Number(payload)));
    await until('what was accepted', () => seen.length >= 20);
    const second = await client(running.url);
    await until('room again', async () => {
      await second.publishAsync('b/x', '99', { qos: 1 });
      return seen.includes(99);
    });
  });

  it.skipIf(!hasOpenssl)('speaks TLS, and asks for certificates where it is told to', async () => {
    const made = makeCertificates();
    cleanUps.push(async () => made.remove());
    const { certificate, key } = made.server;
    const own = [{ clientId: 'bridge', password: 'own' }];
    const running = await broker({ tls: { certificate, key, clientCa: made.ca }, own });
    expect(running.url).toBe(`mqtts://127.0.0.1:${running.port}`);
    const tls = { ca: readFileSync(made.ca), protocolVersion: 4, reconnectPeriod: 0 } as const;
    await expect(connectAsync(running.url, tls, false)).rejects.toThrow();
    const { certificate: mine, key: myKey } = made.client;
    const device = await connectAsync(running.url, { ...tls, cert: readFileSync(mine), key: readFileSync(myKey) });
    cleanUps.push(() => device.endAsync(true));
    await device.publishAsync('a', 'b', { qos: 1 });
    expect(running.status().published).toBe(1);
    // The way past TLS is for the clients of this process.
    await expect(client(running.ownUrl)).rejects.toThrow();
    await client(running.ownUrl, 'bridge', 'own', 'bridge');
    await expect(broker({ tls: { certificate, key: made.ca } })).rejects.toMatchObject({ code: 'BROKER_FAILED' });
    await expect(broker({ tls: { certificate: 'none.pem', key } })).rejects.toThrow(/none\.pem/);
  });

  it('counts those that speak MQTT 5 by a reason of their own', async () => {
    const running = await broker();
    await expect(connectAsync(running.url, { protocolVersion: 5, reconnectPeriod: 0 }, false)).rejects.toThrow();
    await until('counted', () => running.status().refused['protocol-version-not-supported'] === 1);
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
