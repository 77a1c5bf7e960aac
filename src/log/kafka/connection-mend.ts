import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

/**
 * The connection of kafkajs 2.2.4, with its opening and closing replaced. As it is published,
 * - every `connect()` before the first has succeeded opens a socket, and what is left over of them takes the live one
 *   down when the broker closes it as idle;
 * - an event of an old socket is taken for one of the new, and half a response of the old one for the beginning of the
 *   next: from then on no response is found, and every request times out, for ever;
 * - a request that times out leaves its connection in place, so a dead one is asked again and again;
 * - closing waits for answers that a dead broker never gives;
 * - a timer is armed again with a negative delay for ever: 6 % of a core for each connection.
 * Here a connection has one socket at a time, and whatever goes wrong with it ends that socket and all its requests.
 */
interface Connection {
  readonly host: string;
  readonly port: number;
  readonly ssl: object | undefined;
  readonly broker: string;
  readonly connectionTimeout: number;
  readonly requestQueue: RequestQueue;
  readonly socketFactory: (options: object) => Socket;
  socket: Socket | undefined;
  connectionStatus: string;
  authenticatedAt: unknown;
  authHandlers: { onError(): void } | null;
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  processData(data: Buffer): void;
  rejectRequests(error: Error): void;
}

interface RequestQueue {
  readonly inflight: ReadonlyMap<number, { readonly sentAt: number; readonly requestTimeout: number }>;
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  destroy(): void;
  scheduleCheckPendingRequests(): void;
}

const CONNECTED = 'connected';
const DISCONNECTED = 'disconnected';
const LENGTH_BYTES = 4;
const TIMEOUT_CHECK_MS = 500;

const require = createRequire(import.meta.url);
const { KafkaJSConnectionError, KafkaJSRequestTimeoutError } = require('kafkajs/src/errors') as Record<
  'KafkaJSConnectionError' | 'KafkaJSRequestTimeoutError',
  new (
    message: string,
    details: object,
  ) => Error
>;

/** Makes all connections of kafkajs in this process so. */
export function mendConnections(): void {
  const { prototype } = require('kafkajs/src/network/connection') as { prototype: object };
  const opening = new WeakMap<Connection, Promise<boolean>>();
  Object.assign(prototype, {
    connect(this: Connection): Promise<boolean> {
      if (this.connectionStatus === CONNECTED) return Promise.resolve(true);
      const under = opening.get(this);
      if (under !== undefined) return under;
      const made = open(this).finally(() => opening.delete(this));
      opening.set(this, made);
      return made;
    },
    async disconnect(this: Connection): Promise<boolean> {
      const { socket } = this;
      if (socket === undefined) return true;
      // What was written before still goes out.
      if (socket.connecting) socket.destroy();
      else socket.destroySoon();
      socket.unref();
      lose(this, socket, new KafkaJSConnectionError('Disconnected', { broker: this.broker }));
      return true;
    },
  });
  const queue = require('kafkajs/src/network/requestQueue') as { prototype: RequestQueue };
  const original = queue.prototype.scheduleCheckPendingRequests;
  queue.prototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(this: RequestQueue) {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) original.call(this);
  };
}

function open(connection: Connection): Promise<boolean> {
  const { host, port, ssl, broker, socketFactory, connectionTimeout } = connection;
  return new Promise((resolve, reject) => {
    connection.authenticatedAt = null;
    connection.chunks = [];
    connection.bytesBuffered = 0;
    connection.bytesNeeded = LENGTH_BYTES;
    const onConnect = (): void => {
      clearTimeout(late);
      if (connection.socket !== socket) return;
      connection.connectionStatus = CONNECTED;
      watchTimeouts(connection, socket);
      resolve(true);
    };
    const socket = socketFactory({ host, port, ssl, onConnect });
    connection.socket = socket;
    const fail = (message: string, code?: string): void => {
      clearTimeout(late);
      const error = new KafkaJSConnectionError(message, { broker, code });
      socket.destroy();
      lose(connection, socket, error);
      reject(error);
    };
    const late = setTimeout(() => fail('Connection timeout'), connectionTimeout);
    socket.on('data', (data) => {
      if (connection.socket === socket) connection.processData(data);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => fail(`Connection error: ${error.message}`, error.code));
    socket.on('end', () => fail('Closed connection'));
    socket.on('close', () => fail('Closed connection'));
  });
}

/** Forgets a socket that is ended, and, where it was still the connection's, fails every request that waits for an answer from it. */
function lose(connection: Connection, socket: Socket, error: Error): void {
  if (connection.socket !== socket) return;
  connection.socket = undefined;
  connection.connectionStatus = DISCONNECTED;
  connection.authenticatedAt = null;
  connection.requestQueue.destroy();
  connection.authHandlers?.onError();
  connection.rejectRequests(error);
}

/** Answers come in the order of the requests: where one does not come, none after it does. */
function watchTimeouts(connection: Connection, socket: Socket): void {
  const timer = setInterval(() => {
    if (connection.socket !== socket) return clearInterval(timer);
    const now = Date.now();
    for (const { sentAt, requestTimeout } of connection.requestQueue.inflight.values()) {
      if (now - sentAt <= requestTimeout) continue;
      const details = { broker: connection.broker, clientId: '', createdAt: sentAt, sentAt, pendingDuration: 0 };
      socket.destroy();
      return lose(connection, socket, new KafkaJSRequestTimeoutError('Request timed out', details));
    }
  }, TIMEOUT_CHECK_MS);
  socket.once('close', () => clearInterval(timer));
}
