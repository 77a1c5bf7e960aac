import type { Server, Socket } from 'node:net';
import { Aedes, type AuthenticateError, type Client } from 'aedes';
import type { Subscription } from '../mapping/subscriptions.ts';
import { type BrokerAccess, checkAccess, isPassword, mayPublish, mayRead, passwordMatches } from './access.ts';
import { HeldAcks, type HeldPacket } from './held-acks.ts';
import { type KeptPersistence, limitKept } from './kept-limit.ts';
import { type BrokerTls, createListener, listen } from './listeners.ts';
import { limitQueues, type OutgoingPersistence } from './queue-limit.ts';

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
  /** Bytes kept for all sessions together, those of this process not counted. Default 256 MiB. */
  readonly maxQueuedBytesInAll?: number;
  /** Topics with a retained message; further ones are delivered and not retained. Default 10,000. */
  readonly maxRetained?: number;
  /** Bytes of retained messages. Default 64 MiB. */
  readonly maxRetainedBytes?: number;
  /** Sessions that outlive their connection; a client over the limit gets no subscription. Default 10,000. */
  readonly maxSessions?: number;
  /** Subscriptions of one client. Default 1,000. */
  readonly maxSubscriptions?: number;
  /** Clients of this process. Nobody else may use their ids. */
  readonly own?: readonly OwnClient[];
  /**
   * A device whose message has not become durable for so long is disconnected, and sends it again. Milliseconds, default
   * 30,000.
   */
  readonly ackTimeoutMs?: number;
  /** Certificates, PEM: then only TLS is spoken, except by clients of this process. */
  readonly tls?: BrokerTls;
  readonly onEvent?: (event: BrokerEvent) => void;
}

export interface OwnClient {
  readonly clientId: string;
  /** Made for this run: it proves that a client is one of this process. */
  readonly password: string;
  /**
   * What its session is for. Such a session exists before the first device can connect, and loses nothing: a message of
   * QoS 1 or 2 that it gets is acknowledged to the device only when the session has acknowledged it, and while its queue
   * is full, publishers are turned away.
   */
  readonly keeps?: readonly Subscription[];
}

export type BrokerEvent =
  | {
      readonly type: 'client-refused';
      readonly clientId: string;
      readonly reason: string;
      /** Where the reason alone does not say what to do. */
      readonly message?: string;
    }
  | { readonly type: 'publish-refused'; readonly clientId: string; readonly topic: string; readonly reason: string }
  | { readonly type: 'client-error'; readonly clientId: string; readonly reason: string }
  | { readonly type: 'message-dropped'; readonly clientId: string; readonly reason: string };

export interface BrokerStatus {
  readonly connections: number;
  /** Messages that clients have published. */
  readonly published: number;
  /** Connections and messages that were refused, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Messages of QoS 1 and 2 that are not acknowledged to their devices yet. */
  readonly unacknowledged: number;
}

export interface Broker {
  readonly host: string;
  readonly port: number;
  /** `mqtt://host:port`, or `mqtts://…`. */
  readonly url: string;
  /** Where clients of this process connect: always without TLS. */
  readonly ownUrl: string;
  status(): BrokerStatus;
  close(): Promise<void>;
}

/**
 * Starts an MQTT broker in this process, for demos, tests and small sites. It speaks MQTT 3.1.1 only and keeps its
 * sessions in memory. What a session of {@link BrokerOptions.own} gets is acknowledged to the device when that session has
 * acknowledged it; what only others get, at once, and it is lost with the process.
 *
 * @throws BROKER_FAILED where the port is taken, a certificate cannot be used or the address is open to others without
 *   users.
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
  const own = new Map((options.own ?? []).map((each) => [each.clientId, each]));
  const keeping = [...own.values()].filter(({ keeps }) => keeps !== undefined);
  const maxBytes = options.maxQueuedBytes ?? 64 * 1024 * 1024;

  const userOf = new WeakMap<Client, string>();
  const sockets = new Set<Socket>();
  /** Connections to {@link Broker.ownUrl}, where that is a way past TLS. */
  const ownOnly = new WeakSet<object>();
  const aedes = await Aedes.createBroker({
    maxClientsIdLength: 256,
    drainTimeout: options.drainTimeoutMs ?? 60_000,
    connectTimeout: 10_000,
    authenticate: (client, username, password, done) => {
      const itself = own.get(client.id);
      const known =
        itself === undefined
          ? !ownOnly.has(client.conn) && passwordMatches(options, username, password)
          : isPassword(itself.password, password);
      if (known) {
        if (itself === undefined) userOf.set(client, username ?? '');
        done(null, true);
        return;
      }
      const reason = itself === undefined ? 'bad-credentials' : 'reserved-client-id';
      refuse({ type: 'client-refused', clientId: client.id, reason });
      done(Object.assign(new Error('bad user name or password'), { returnCode: 4 }) as AuthenticateError, null);
    },
    authorizePublish: (client, packet, done) => {
      const id = client?.id ?? '';
      const user = client === null ? undefined : userOf.get(client);
      const reason =
        (own.has(id) ? undefined : mayPublish(options, user, id, packet.topic)) ??
        (queues.full() && !own.has(id) ? 'queue-full' : undefined);
      if (reason !== undefined) {
        refuse({ type: 'publish-refused', clientId: id, topic: packet.topic, reason });
        done(new Error(`not allowed to publish: ${reason}`));
      } else if (client === null || keeping.length === 0 || own.has(id) || packet.messageId === undefined) {
        done(null);
      } else {
        acks.take(client, packet as HeldPacket, () => done(null));
      }
    },
    authorizeSubscribe: (client, subscription, done) => {
      const allowed = own.has(client.id) || mayRead(options, userOf.get(client), client.id, subscription.topic);
      const reason = allowed && !own.has(client.id) ? kept.refuses(client, subscription.topic) : undefined;
      if (reason !== undefined) refuse({ type: 'client-refused', clientId: client.id, reason });
      const granted = allowed && reason === undefined;
      kept.decided(client, subscription, granted);
      done(null, granted ? subscription : null);
    },
    authorizeForward: (client, packet) => {
      // A session may hold what was queued for a user with other rights.
      if (!own.has(client.id) && !mayRead(options, userOf.get(client), client.id, packet.topic)) return null;
      // While such a session takes nothing, what nobody has promised to keep must not stand in the way of the rest.
      const full = packet.qos === 0 && own.has(client.id) && client.conn.writableLength > MAX_UNSENT_BYTES;
      if (!full) return packet;
      refuse({ type: 'message-dropped', clientId: client.id, reason: 'qos-0-overflow' });
      return null;
    },
  });
  const { persistence, clients } = aedes as unknown as {
    persistence: OutgoingPersistence & KeptPersistence;
    clients: Readonly<Record<string, Client>>;
  };
  const kept = limitKept(persistence, {
    maxRetained: options.maxRetained ?? 10_000,
    maxRetainedBytes: options.maxRetainedBytes ?? 64 * 1024 * 1024,
    maxSessions: options.maxSessions ?? 10_000,
    maxSubscriptions: options.maxSubscriptions ?? 1_000,
    onNotRetained: () => refuse({ type: 'message-dropped', clientId: '', reason: 'not-retained' }),
  });
  const acks = new HeldAcks(aedes, {
    timeoutMs: options.ackTimeoutMs ?? 30_000,
    maxHalfOpen: 1_000,
    now: () => performance.now(),
    onTimeout: ({ id }) => refuse({ type: 'client-refused', clientId: id, reason: 'not-durable-in-time' }),
  });
  const queues = limitQueues(persistence, {
    maxMessages: options.maxQueuedMessages ?? 50_000,
    maxBytes,
    maxBytesInAll: options.maxQueuedBytesInAll ?? 256 * 1024 * 1024,
    neverDrop: keeping.map(({ clientId }) => clientId),
    onDrop: (clientId) => refuse({ type: 'message-dropped', clientId, reason: 'session-queue-full' }),
    isAway: (clientId) => clients[clientId] === undefined,
    onQueued: (counter, sessions) => acks.onQueued(counter, sessions),
    onAcknowledged: (counter) => acks.onAcknowledged(counter),
  });
  for (const { clientId, keeps = [] } of keeping) {
    const subscriptions = keeps.map(({ filter, qos }) => ({ topic: filter, qos }));
    const session = { id: clientId };
    for (const each of subscriptions) kept.decided(session, each, true);
    await persistence.addSubscriptions(session, subscriptions);
  }
  aedes.on('publish', (_packet, client) => {
    if (client !== null) published++;
  });
  aedes.on('unsubscribe', (filters, client) => kept.released(client, filters));
  const onError = (client: Client, error: Error) =>
    refuse({ type: 'client-error', clientId: client.id ?? '', reason: reasonOf(error) });
  aedes.on('clientError', onError);
  aedes.on('connectionError', onError);

  const maxConnections = options.maxConnections ?? 10_000;
  const onSocket = (socket: Socket) => {
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
  };
  const watchdog = watchQueues(sockets, maxBytes, refuse);
  const servers: Server[] = [];
  const close = async () => {
    clearInterval(watchdog);
    acks.close();
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
  };
  const open = async (tls: BrokerTls | undefined, address: string, wanted: number, anyPort: boolean) => {
    const server = createListener(tls, onSocket);
    if (tls !== options.tls) server.prependListener('connection', (socket) => ownOnly.add(socket));
    const port = await listen(server, address, wanted, anyPort);
    servers.push(server);
    server.on('tlsClientError', () => refuse({ type: 'client-refused', clientId: '', reason: 'tls-handshake-failed' }));
    return port;
  };
  try {
    const port = await open(options.tls, host, options.port ?? 1883, options.anyPort ?? false);
    const url = `${options.tls === undefined ? 'mqtt' : 'mqtts'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
    const ownUrl =
      options.tls === undefined || own.size === 0
        ? url
        : `mqtt://127.0.0.1:${await open(undefined, '127.0.0.1', 0, false)}`;
    return {
      host,
      port,
      url,
      ownUrl,
      status: () => ({ connections: sockets.size, published, refused: { ...refused }, unacknowledged: acks.size }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Bytes on their way to a session of this process, beyond which messages of QoS 0 are dropped. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/** Disconnects a client whose next packet announces more bytes than allowed, before the parser collects them. */
function limitPackets(client: Client, socket: Socket, limit: number, refuse: (event: BrokerEvent) => void): void {
  const parser = (client as unknown as { _parser: { packet?: { length?: number; cmd?: string } } })._parser;
  // The parser keeps the announced length of the packet it is waiting for; data events would steal the stream.
  const check = () => {
    const announced = parser.packet?.length ?? 0;
    if (announced <= limit) return;
    const message = `a packet of ${announced} bytes; at most ${limit} are taken. A client that keeps the message connects and sends it again for ever: it has to send less, or to give the message up`;
    refuse({ type: 'client-refused', clientId: client.id ?? '', reason: 'packet-too-large', message });
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

/** A reason that can be counted: no ids, ports or bytes in it. */
function reasonOf(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined) return code.toLowerCase().replaceAll('_', '-');
  if (/not allowed to publish/.test(error.message)) return 'publish-refused';
  // MQTT 5, mostly: it is not spoken here.
  if (/unacceptable protocol version/i.test(error.message)) return 'protocol-version-not-supported';
  return /keep alive timeout/.test(error.message) ? 'keep-alive-timeout' : 'protocol-error';
}
