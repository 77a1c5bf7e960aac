import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { expect, it, vi } from 'vitest';
import { startBroker } from '../broker/broker.ts';
import { MqttSession, type SessionEvent } from './session.ts';

it('does not come back when it is ended before the broker has answered', async () => {
  const sockets: Socket[] = [];
  const mute = createServer((socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  try {
    const session = new MqttSession({
      url: `mqtt://127.0.0.1:${(mute.address() as AddressInfo).port}`,
      clientId: 'ended-early',
      subscriptions: [],
      onMessage: () => undefined,
    });
    await expect.poll(() => sockets.length).toBe(1);
    await session.end();
    await pause(2_500);
    expect(sockets.length).toBe(1);
  } finally {
    for (const socket of sockets) socket.destroy();
    mute.close();
  }
});

it('believes a broker of MQTT 5 that says the session was taken over, and tells its other reasons', async () => {
  let code = 0x8e;
  // CONNACK, then DISCONNECT with the reason, to whoever comes.
  const broker = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(Buffer.of(0x20, 3, 0, 0, 0, 0xe0, 2, code, 0)));
  });
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
  const events: SessionEvent[] = [];
  const session = new MqttSession({
    url: `mqtt://127.0.0.1:${(broker.address() as AddressInfo).port}`,
    clientId: 'twin',
    subscriptions: [],
    reconnectMs: { min: 20, max: 50 },
    onMessage: () => undefined,
    onEvent: (event) => events.push(event),
  });
  try {
    await expect.poll(() => events, { timeout: 15_000 }).toContainEqual({ type: 'disconnected', reason: '0x8e' });
    expect(session.status()).toMatchObject({
      takeovers: expect.any(Number),
      takenOver: expect.stringContaining('"twin"'),
    });
    expect(events.find(({ type }) => type === 'taken-over')).toBeDefined();
    code = 0x8b;
    await expect.poll(() => events, { timeout: 15_000 }).toContainEqual({ type: 'disconnected', reason: '0x8b' });
    await session.end();
  } finally {
    broker.close();
  }
});

it('passes the count of dropped messages on where a subscription has it', async () => {
  const own = [
    { clientId: 'feed', password: 'own' },
    { clientId: 'mapped', password: 'own' },
  ];
  const broker = await startBroker({ port: 0, own });
  const topics: string[] = [];
  const session = new MqttSession({
    url: broker.url,
    clientId: 'mapped',
    username: 'mapped',
    password: 'own',
    protocol: '3.1.1',
    subscriptions: [{ filter: '$SYS/broker/publish/#', qos: 1 }],
    watchDrops: true,
    onMessage: (message, receipt) => {
      topics.push(message.topic);
      session.acknowledge([receipt]);
      return undefined;
    },
  });
  try {
    await session.ready();
    const feed = await connectAsync(broker.url, { clientId: 'feed', password: 'own', username: 'feed' });
    await feed.publishAsync('$SYS/broker/publish/messages/dropped', '5', { qos: 1 });
    await expect.poll(() => topics, { timeout: 15_000 }).toEqual(['$SYS/broker/publish/messages/dropped']);
    expect(session.status().brokerDropped).toBe(5);
    await feed.endAsync(true);
  } finally {
    await session.end();
    await broker.close();
  }
});

it('forgets the waiting of a takeover when a connection has lasted', async () => {
  let taken = true;
  const open: Socket[] = [];
  const broker = createServer((socket) => {
    socket.on('error', () => {});
    const connack = Buffer.of(0x20, 3, 0, 0, 0);
    socket.once('data', () => {
      if (taken) socket.end(Buffer.concat([connack, Buffer.of(0xe0, 2, 0x8e, 0)]));
      else {
        socket.write(connack);
        open.push(socket);
      }
    });
  });
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
  const clock = performance.now.bind(performance);
  let ahead = 0;
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => clock() + ahead);
  let ended = 0;
  const session: MqttSession = new MqttSession({
    url: `mqtt://127.0.0.1:${(broker.address() as AddressInfo).port}`,
    clientId: 'twin',
    subscriptions: [],
    reconnectMs: { min: 20, max: 1_000 },
    onMessage: () => undefined,
    onEvent: ({ type }) => {
      if (type === 'disconnected') ended++;
    },
  });
  const waits = vi.spyOn(globalThis, 'setInterval');
  try {
    await expect.poll(() => session.status().takeovers, { timeout: 15_000 }).toBeGreaterThanOrEqual(4);
    taken = false;
    await expect.poll(() => open.length, { timeout: 15_000 }).toBe(1);
    await expect.poll(() => session.status().connected, { timeout: 15_000 }).toBe(true);
    ahead = 3_600_000;
    waits.mockClear();
    const before = ended;
    open[0]!.destroy();
    await expect.poll(() => ended, { timeout: 15_000 }).toBe(before + 1);
    await expect.poll(() => waits.mock.calls.map(([, ms]) => ms), { timeout: 15_000 }).toContain(20);
  } finally {
    waits.mockRestore();
    spy.mockRestore();
    await session.end();
    for (const socket of open) socket.destroy();
    broker.close();
  }
});
