import { createServer, type Server, type Socket } from 'node:net';
import { Aedes, type AuthenticateError, type Client } from 'aedes';
import { FleetcastError, messageOf } from '../../errors.ts';
import { type BrokerAccess, checkAccess, mayPublish, mayRead, passwordMatches } from './access.ts';
import { limitQueues, type OutgoingPersistence, type QueueLimit } from './queue-limit.ts';

export interface BrokerOptions extends BrokerAccess {
  /** Address to listen on. Anything but loopback demands `users`, or `allowAnonymous: true`. Default 127.0.0.1. */
  readonly host?: string;
  /** Default 1883; 0 takes a free one. */
  readonly port?: number;
  /** Takes a free port where `port` is taken, instead of failing. Default false. */
  readonly anyPort?: boolean;
  /** Most connections at a time; further ones are closed. Default 10,000. */
  readonly maxConnections?: number;
  /**
   * Largest PUBLISH in bytes; a client that sends a larger one is disconnected. Default 4 MiB: far over what
   * the bridge takes, so that what is merely too large for it ends as a dead letter and its sender goes on.
   */
  readonly maxPacketBytes?: number;
  /** A client that takes nothing for so long is disconnected; its session stays. Milliseconds, default 60,000. */
  readonly drainTimeoutMs?: number;
  /** Bytes waiting to be sent to one client before it is disconnected, or kept for its session. Default 64 MiB. */
  readonly maxQueuedBytes?: number;
  /** Messages kept for one session; a session over its limit loses new ones. Default 50,000. */
  readonly maxQueuedMessages?: number;
  /** Client ids whose messages must not be lost: while their queue is full, publishers are turned away. */
  readonly neverDrop?: readonly string[];
  readonly onEvent?: (event: BrokerEvent) => void;
}

export type BrokerEvent =
  | { readonly type: 'client-refused'; readonly clientId: string; readonly reason: string }
  | { readonly type: 'publish-refused'; readonly clientId: string; readonly topic: string; readonly reason: string }
  | { readonly type: 'client-error'; readonly clientId: string; readonly reason: string }
  | { readonly type: 'message-dropped'; readonly clientId: string; readonly reason: string };

export interface BrokerStatus {
  readonly connections: number;
  /** Messages that clients have published. */
  readonly published: number;
  /** Connections and messages that were refused, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface Broker {
  readonly host: string;
  readonly port: number;
  /** `mqtt://host:port`. */
  readonly url: string;
  status(): BrokerStatus;
  close(): Promise<void>;
}

/**
 * Starts an MQTT broker in this process, for demos, tests and small sites. It speaks MQTT 3.1.1 only and keeps its
 * sessions in memory: what it has accepted and not yet delivered is lost with the process.
 *
 * @throws BROKER_FAILED where the port is taken or the address is open to others without users.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const host = options.host ?? '127.0.0.1';
  checkAccess(host, options);
  const refused: Record<string, number> = {};
  let published = 0;
  const refuse = (event: BrokerEvent) => {
    refused[event.reason] = (refused[event.reason] ?? 0) + 1;
    options.onEvent?.(event);
  };

  let queues: QueueLimit | undefined;
  const aedes = await Aedes.createBroker({
    maxClientsIdLength: 256,
    drainTimeout: options.drainTimeoutMs ?? 60_000,
    connectTimeout: 10_000,
    authenticate: (client, username, password, done) => {
      if (passwordMatches(options, username, password)) {
        userOf.set(client, username ?? '');
        done(null, true);
        return;
      }
      refuse({ type: 'client-refused', clientId: client.id, reason: 'bad-credentials' });
      done(Object.assign(new Error('bad user name or password'), { returnCode: 4 }) as AuthenticateError, null);
    },
    authorizePublish: (client, packet, done) => {
      const user = client === null ? undefined : userOf.get(client);
      const reason =
        mayPublish(options, user, client?.id ?? '', packet.topic) ?? (queues?.full() ? 'queue-full' : undefined);
      if (reason === undefined) return done(null);
      refuse({ type: 'publish-refused', clientId: client?.id ?? '', topic: packet.topic, reason });
      done(new Error(`not allowed to publish: ${reason}`));
    },
    authorizeSubscribe: (client, subscription, done) => {
      done(null, mayRead(options, userOf.get(client), client.id, subscription.topic) ? subscription : null);
    },
  });
  const userOf = new WeakMap<Client, string>();
  queues = limitQueues((aedes as unknown as { persistence: OutgoingPersistence }).persistence, {
    maxMessages: options.maxQueuedMessages ?? 50_000,
    maxBytes: options.maxQueuedBytes ?? 64 * 1024 * 1024,
    neverDrop: options.neverDrop ?? [],
    onDrop: (clientId) => refuse({ type: 'message-dropped', clientId, reason: 'session-queue-full' }),
  });
  aedes.on('publish', (_packet, client) => {
    if (client !== null) published++;
  });
  const onError = (client: Client, error: Error) =>
    refuse({ type: 'client-error', clientId: client.id ?? '', reason: reasonOf(error) });
  aedes.on('clientError', onError);
  aedes.on('connectionError', onError);

  const sockets = new Set<Socket>();
  const maxConnections = options.maxConnections ?? 10_000;
  const server = createServer((socket) => {
    if (sockets.size >= maxConnections) {
      refuse({ type: 'client-refused', clientId: '', reason: 'too-many-connections' });
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.once('close', () => sockets.delete(socket));
    const client = aedes.handle(socket);
    limitPackets(client, socket, options.maxPacketBytes ?? 4 * 1024 * 1024, refuse);
  });
  const watchdog = watchQueues(sockets, options.maxQueuedBytes ?? 64 * 1024 * 1024, refuse);
  try {
    await listen(server, host, options.port ?? 1883, options.anyPort ?? false);
  } catch (error) {
    clearInterval(watchdog);
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    throw error;
  }
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;

  return {
    host,
    port,
    url: `mqtt://${host.includes(':') ? `[${host}]` : host}:${port}`,
    status: () => ({ connections: sockets.size, published, refused: { ...refused } }),
    close: async () => {
      clearInterval(watchdog);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Disconnects a client whose next packet announces more bytes than allowed, before the parser collects them. */
function limitPackets(client: Client, socket: Socket, limit: number, refuse: (event: BrokerEvent) => void): void {
  const parser = (client as unknown as { _parser: { packet?: { length?: number; cmd?: string } } })._parser;
  // The parser keeps the announced length of the packet it is waiting for; data events would steal the stream.
  const check = () => {
    const announced = parser.packet?.length ?? 0;
    if (announced <= limit) return;
    refuse({ type: 'client-refused', clientId: client.id ?? '', reason: 'packet-too-large' });
    socket.destroy();
  };
  socket.on('readable', check);
}

function watchQueues(sockets: Set<Socket>, limit: number, refuse: (event: BrokerEvent) => void): NodeJS.Timeout {
  const timer = setInterval(() => {
    for (const socket of sockets) {
      if (socket.writableLength <= limit) continue;
      refuse({ type: 'client-refused', clientId: '', reason: 'queue-too-long' });
      socket.destroy();
    }
  }, 1_000);
  timer.unref();
  return timer;
}

async function listen(server: Server, host: string, port: number, anyPort: boolean): Promise<void> {
  try {
    await tryListen(server, host, port);
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (!taken || !anyPort) {
      throw new FleetcastError('BROKER_FAILED', `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
        cause: error,
        details: { host, port },
      });
    }
    await tryListen(server, host, 0);
  }
}

function tryListen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

/** A reason that can be counted: no ids, ports or bytes in it. */
function reasonOf(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined) return code.toLowerCase().replaceAll('_', '-');
  return /not allowed to publish/.test(error.message) ? 'publish-refused' : 'protocol-error';
}
