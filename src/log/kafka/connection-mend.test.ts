import { createRequire } from 'node:module';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import './wire.ts';

interface Connection {
  readonly requestQueue: { readonly throttleCheckTimeoutId: unknown };
  connect(): Promise<boolean>;
  disconnect(): Promise<boolean>;
  isConnected(): boolean;
  send(request: object): Promise<Buffer>;
}

const require = createRequire(import.meta.url);
const Connection = require('kafkajs/src/network/connection') as new (options: object) => Connection;
const Encoder = require('kafkajs/src/protocol/encoder') as new () => object;
const { createLogger, LEVELS } = require('kafkajs/src/loggers') as {
  createLogger(options: object): object;
  LEVELS: { NOTHING: number };
};
const console = require('kafkajs/src/loggers/console') as object;
const socketFactory = require('kafkajs/src/network/socketFactory') as () => object;

const ANSWER = Buffer.from('the answer');
/** What a server does with a request; the correlation id is at byte 8. */
type Handler = (socket: Socket, correlationId: number) => void;
const frame = (correlationId: number): Buffer => {
  const bytes = Buffer.alloc(8 + ANSWER.length);
  bytes.writeInt32BE(4 + ANSWER.length, 0);
  bytes.writeInt32BE(correlationId, 4);
  ANSWER.copy(bytes, 8);
  return bytes;
};
const answer: Handler = (socket, id) => void socket.write(frame(id));

let server: Server;
let sockets: Socket[];
let handler: Handler;
let connection: Connection;

beforeEach(async () => {
  sockets = [];
  handler = answer;
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => handler(socket, data.readInt32BE(8)));
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  connection = new Connection({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    logger: createLogger({ level: LEVELS.NOTHING, logCreator: console }),
    socketFactory: socketFactory(),
    requestTimeout: 300,
    connectionTimeout: 1000,
  });
});

afterEach(async () => {
  await connection.disconnect();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const ask = (): Promise<Buffer> =>
  connection.send({
    request: { apiKey: 18, apiVersion: 0, apiName: 'Ask', encode: async () => new Encoder() },
    response: {
      decode: async (body: unknown) => ({ body, clientSideThrottleTime: 0 }),
      parse: async ({ body }: { body: unknown }) => body,
    },
  });

it('opens one socket for all who connect at once, and again after a disconnect', async () => {
  await Promise.all([connection.connect(), connection.connect(), connection.connect(), connection.connect()]);
  await ask();
  expect(sockets.length).toBe(1);
  await connection.disconnect();
  expect(connection.isConnected()).toBe(false);
  await connection.connect();
  expect(await ask()).toEqual(ANSWER);
  expect(sockets.length).toBe(2);
});

it('forgets the half of a response that the old socket has left', async () => {
  await connection.connect();
  handler = (socket, id) => {
    socket.write(frame(id).subarray(0, 9), () => socket.destroy());
  };
  await expect(ask()).rejects.toThrow(/closed/i);
  handler = answer;
  await connection.connect();
  expect(await ask()).toEqual(ANSWER);
});

it('closes a connection whose broker does not answer, and asks over another', async () => {
  await connection.connect();
  handler = () => {};
  await expect(Promise.all([ask(), ask()])).rejects.toThrow(/timed out/);
  expect(connection.isConnected()).toBe(false);
  handler = answer;
  await connection.connect();
  expect(await ask()).toEqual(ANSWER);
  expect(sockets.length).toBe(2);
});

it('ends what waits for an answer when it is closed', async () => {
  await connection.connect();
  const asked = new Promise<void>((resolve) => {
    handler = () => resolve();
  });
  const refused = expect(ask()).rejects.toThrow(/Disconnected/);
  await asked;
  await connection.disconnect();
  await refused;
});

it('an old socket that ends late leaves the new one alone', async () => {
  await connection.connect();
  const [first] = sockets;
  first!.pause();
  await connection.disconnect();
  await connection.connect();
  first!.destroy();
  for (let i = 0; i < 20; i++) expect(await ask()).toEqual(ANSWER);
  expect(sockets.length).toBe(2);
});

it('has no timer left that wakes an idle connection for ever', async () => {
  await connection.connect();
  await ask();
  expect(connection.requestQueue.throttleCheckTimeoutId).toBeNull();
});
