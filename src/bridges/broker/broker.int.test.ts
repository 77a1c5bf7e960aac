import { readFileSync } from 'node:fs';
import { connect as tcp } from 'node:net';
import { connect, connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/bridge-kit.ts';
import { hasOpenssl, makeCertificates } from '../../../test/certificates.ts';
import { type Broker, type BrokerEvent, type BrokerOptions, startBroker } from './broker.ts';

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
    await expect(startBroker({ port: 0, users: [{ name: 'a', password: '' }] })).rejects.toThrow(/user a is empty/);
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

  it('lets nobody do more without a name than with one', async () => {
    const running = await broker({
      users: [
        { name: 'pump1', password: 'p1', publish: ['fleet/pump1', 'open/#'], subscribe: ['open/#', 'fleet/pump1'] },
        { name: 'pump2', password: 'p2', publish: ['fleet/pump2', 'open/+'], subscribe: ['open/#'] },
        { name: 'app', password: 'p3' },
      ],
      allowAnonymous: true,
    });
    const app = await client(running.url, 'app', 'p3');
    const seen: string[] = [];
    app.on('message', (topic) => seen.push(topic));
    await app.subscribeAsync('#', { qos: 1 });
    for (const topic of ['fleet/pump1', 'fleet/pump3', 'open/a/b']) {
      const nobody = await client(running.url);
      const closed = new Promise<void>((resolve) => nobody.once('close', () => resolve()));
      nobody.publish(topic, 'x', { qos: 1 });
      await closed;
    }
    const nobody = await client(running.url);
    await nobody.publishAsync('open/a', 'x', { qos: 1 });
    await until('forwarded', () => seen.length > 0);
    expect(seen).toEqual(['open/a']);
    await nobody.subscribeAsync('open/#');
    for (const filter of ['#', 'fleet/pump1']) await expect(nobody.subscribeAsync(filter)).rejects.toThrow();
  });

  it('keeps nothing for a session that its user may not read', async () => {
    const running = await broker({
      users: [
        { name: 'app', password: 'p', subscribe: ['a/#'] },
        { name: 'other', password: 'p', subscribe: ['b/#'] },
        { name: 'dev', password: 'p' },
      ],
      maxQueuedMessages: 1,
    });
    const session = (username: string) =>
      connect(running.url, { clientId: 's', username, password: 'p', clean: false, protocolVersion: 4 });
    const first = session('app');
    cleanUps.push(() => first.endAsync(true));
    const answers = await new Promise((resolve) =>
      first.subscribe(['secret/#', 'a/#', 'hidden/#'], { qos: 1 }, (_error, _granted, packet) =>
        resolve((packet as { granted?: number[] } | undefined)?.granted),
      ),
    );
    expect(answers).toEqual([128, 1, 128]);
    await first.endAsync();
    const device = await client(running.url, 'dev', 'p');
    for (const topic of ['secret/x', 'hidden/x', 'secret/y', 'a/x']) await device.publishAsync(topic, 'x', { qos: 1 });
    expect(running.status().refused['session-queue-full']).toBeUndefined();
    const seen: string[] = [];
    const again = session('app');
    cleanUps.push(() => again.endAsync(true));
    again.on('message', (topic) => seen.push(topic));
    await until('what it may read', () => seen.length > 0);
    expect(seen).toEqual(['a/x']);
    await again.endAsync();

    // What was queued for one user is not for another who comes with the same client id.
    await device.publishAsync('a/z', 'x', { qos: 1 });
    const other = session('other');
    cleanUps.push(() => other.endAsync(true));
    const seenByOther: string[] = [];
    other.on('message', (topic) => seenByOther.push(topic));
    await other.subscribeAsync('b/#', { qos: 1 });
    await device.publishAsync('b/x', 'x', { qos: 1 });
    await until('what it may read', () => seenByOther.length > 0);
    expect(seenByOther).toEqual(['b/x']);
  });

  it('bounds packets and connections', async () => {
    const told: BrokerEvent[] = [];
    const running = await broker({ maxPacketBytes: 10_000, maxConnections: 2, onEvent: (event) => told.push(event) });
    const big = await client(running.url);
    const closed = new Promise<void>((resolve) => big.once('close', () => resolve()));
    big.publish('a', Buffer.alloc(500_000), { qos: 1 });
    await closed;
    expect(running.status()).toMatchObject({ published: 0, refused: { 'packet-too-large': 1 } });
    expect(told[0]).toMatchObject({
      message: expect.stringMatching(/^a packet of 5\d{5} bytes; at most 10000 are taken/),
    });
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

  it('bounds what clients can make it remember: retained messages, sessions, subscriptions', async () => {
    const running = await broker({ maxRetained: 50, maxRetainedBytes: 40_000, maxSessions: 3, maxSubscriptions: 20 });
    const hostile = await client(running.url);
    for (let i = 0; i < 200; i++) await hostile.publishAsync(`r/${i}`, 'x', { qos: 1, retain: true });
    await until('counted', () => running.status().refused['not-retained'] === 150);
    // A topic that has its place may change, and gives it free when it is cleared.
    await hostile.publishAsync('r/7', 'changed', { qos: 1, retain: true });
    await hostile.publishAsync('r/8', '', { qos: 1, retain: true });
    await hostile.publishAsync('r/new', 'y', { qos: 1, retain: true });
    // Its bytes are over the limit.
    await hostile.publishAsync('r/9', 'x'.repeat(30_000), { qos: 1, retain: true });
    const reader = await client(running.url);
    const seen = new Map<string, string>();
    reader.on('message', (topic, payload) => seen.set(topic, payload.toString()));
    await reader.subscribeAsync('r/#', { qos: 1 });
    await until('all', () => seen.size === 50);
    expect([seen.get('r/7'), seen.has('r/8'), seen.get('r/9'), seen.get('r/new')]).toEqual([
      'changed',
      false,
      'x',
      'y',
    ]);

    await expect(reader.subscribeAsync(Array.from({ length: 30 }, (_, i) => `f/${i}`))).rejects.toThrow();
    expect(running.status().refused['too-many-subscriptions']).toBeGreaterThan(0);
    const granted: boolean[] = [];
    for (let i = 0; i < 6; i++) {
      const session = await connectAsync(running.url, { clientId: `s${i}`, clean: false, protocolVersion: 4 }, false);
      granted.push(
        await session.subscribeAsync('r/#').then(
          () => true,
          () => false,
        ),
      );
      await session.endAsync(true);
    }
    expect(granted).toEqual([true, true, true, false, false, false]);
    expect(running.status().refused['too-many-sessions']).toBe(3);
    // One that has its place comes back.
    const back = await connectAsync(running.url, { clientId: 's1', clean: false, protocolVersion: 4 }, false);
    await back.subscribeAsync('other/#');
    await back.endAsync(true);
  });

  it.each([true, false])('counts the filters of one packet too (clean: %s)', async (clean) => {
    const running = await broker({ maxSubscriptions: 20 });
    const greedy = await connectAsync(running.url, { clientId: 'greedy', clean, protocolVersion: 4 }, false);
    cleanUps.push(() => greedy.endAsync(true));
    const filters = Array.from({ length: 5_000 }, (_, i) => `f/${i}`);
    const ask = (wanted: string[]) =>
      new Promise<number[]>((resolve) =>
        greedy.subscribe(wanted, { qos: 1 }, (_error, _granted, packet) =>
          resolve((packet as unknown as { granted: number[] }).granted),
        ),
      );
    const granted = (await ask(filters)).filter((qos) => qos === 1);
    expect(granted).toHaveLength(20);
    expect(running.status().refused['too-many-subscriptions']).toBe(4_980);
    // What it has it may ask for again; for what it gives up it may have another.
    expect(await ask(['f/3', 'f/20'])).toEqual([1, 128]);
    await greedy.unsubscribeAsync('f/3');
    expect(await ask(['f/20', 'f/3'])).toEqual([1, 128]);
  });

  it('bounds what waits for all sessions together', async () => {
    const running = await broker({ maxQueuedBytesInAll: 20_000 });
    for (let i = 0; i < 5; i++) {
      const session = await connectAsync(running.url, { clientId: `s${i}`, clean: false, protocolVersion: 4 }, false);
      await session.subscribeAsync('a/#', { qos: 2 });
      await session.endAsync(true);
    }
    const publisher = await client(running.url);
    for (let i = 0; i < 20; i++) await publisher.publishAsync('a/x', 'x'.repeat(800), { qos: ((i % 2) + 1) as 1 | 2 });
    await until('dropped', () => (running.status().refused['session-queue-full'] ?? 0) >= 75);
    for (let i = 0; i < 5; i++) {
      const session = connect(running.url, { clientId: `s${i}`, clean: false, protocolVersion: 4 });
      let got = 0;
      session.on('message', () => got++);
      await until('what was kept', () => got >= 4);
      await new Promise<void>((resolve) => session.end(false, {}, () => resolve()));
    }
    // There is room again.
    const before = running.status().refused['session-queue-full'];
    await publisher.publishAsync('a/x', 'x', { qos: 1 });
    expect(running.status().refused['session-queue-full']).toBe(before);
  });

  it('takes the room for others from the sessions that somebody has left behind', async () => {
    const running = await broker({ maxQueuedBytesInAll: 20_000 });
    const session = async (clientId: string, filter: string) => {
      const made = await connectAsync(running.url, { clientId, clean: false, protocolVersion: 4 }, false);
      cleanUps.push(() => made.endAsync(true));
      await made.subscribeAsync(filter, { qos: 1 });
      return made;
    };
    for (const id of ['left1', 'left2']) await (await session(id, 'a/#')).endAsync();
    const publisher = await client(running.url);
    for (let i = 0; i < 15; i++) await publisher.publishAsync('a/x', 'x'.repeat(800), { qos: 1 });
    await until('full', () => (running.status().refused['session-queue-full'] ?? 0) > 0);

    const connected = await session('connected', 'b/#');
    let closed = 0;
    let seen = 0;
    connected.on('close', () => closed++);
    connected.on('message', () => seen++);
    const away = await session('away', 'b/#');
    await away.endAsync();
    for (let i = 0; i < 4; i++) await publisher.publishAsync('b/x', 'x'.repeat(800), { qos: 1 });
    await until('delivered', () => seen === 4);
    expect(closed).toBe(0);
    const back = connect(running.url, { clientId: 'away', clean: false, protocolVersion: 4 });
    cleanUps.push(() => back.endAsync(true));
    let kept = 0;
    back.on('message', () => kept++);
    await until('what waited', () => kept === 4);
  });

  it('asks for the right to a will as to any message', async () => {
    const running = await broker({
      users: [
        { name: 'dev', password: 'p1', publish: ['fleet/%u'], subscribe: [] },
        { name: 'app', password: 'p2' },
      ],
    });
    const app = await client(running.url, 'app', 'p2');
    const seen: string[] = [];
    app.on('message', (topic) => seen.push(topic));
    await app.subscribeAsync('#', { qos: 1 });
    const dies = async (topic: string) => {
      const will = { topic, payload: Buffer.from('{"t":1}'), qos: 1 as const, retain: true };
      const device = await connectAsync(
        running.url,
        { username: 'dev', password: 'p1', clientId: 'd', will, protocolVersion: 4, reconnectPeriod: 0 },
        false,
      );
      const gone = new Promise<void>((resolve) => device.once('close', () => resolve()));
      device.on('error', () => {});
      device.stream.destroy();
      await gone;
    };
    await dies('fleet/other');
    await until('refused', () => running.status().refused['topic-not-allowed'] === 1);
    await dies('fleet/dev');
    await until('its own', () => seen.length > 0);
    expect(seen).toEqual(['fleet/dev']);
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
