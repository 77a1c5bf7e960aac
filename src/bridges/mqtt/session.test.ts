import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
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
