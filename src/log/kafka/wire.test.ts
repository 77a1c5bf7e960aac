import { createRequire } from 'node:module';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import './wire.ts';

interface Connection {
  connect(): Promise<boolean>;
  disconnect(): Promise<boolean>;
}

const require = createRequire(import.meta.url);
const Connection = require('kafkajs/src/network/connection') as new (options: object) => Connection;
const { createLogger, LEVELS } = require('kafkajs/src/loggers') as {
  createLogger(options: object): object;
  LEVELS: { NOTHING: number };
};
const console = require('kafkajs/src/loggers/console') as object;
const socketFactory = require('kafkajs/src/network/socketFactory') as () => object;

it('opens one socket for all who connect at once, and again after a disconnect', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const connection = new Connection({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      logger: createLogger({ level: LEVELS.NOTHING, logCreator: console }),
      socketFactory: socketFactory(),
      requestTimeout: 1000,
      connectionTimeout: 1000,
    });
    await Promise.all([connection.connect(), connection.connect(), connection.connect(), connection.connect()]);
    await pause(50);
    expect(sockets.length).toBe(1);
    await connection.disconnect();
    await connection.connect();
    await pause(50);
    expect(sockets.length).toBe(2);
    await connection.disconnect();
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});
