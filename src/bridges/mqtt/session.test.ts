import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { MqttSession } from './session.ts';

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
