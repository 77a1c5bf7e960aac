import type { Aedes, AedesPublishPacket, Client } from 'aedes';

export interface HeldAcksOptions {
  /** A publisher whose message has waited for so long is disconnected. Milliseconds. */
  readonly timeoutMs: number;
  /** Most QoS 2 messages of one client that may wait for their PUBREL. */
  readonly maxHalfOpen: number;
  /** Milliseconds of a clock that does not go back. */
  readonly now: () => number;
  readonly onTimeout: (client: Client) => void;
}

/** A message of QoS 1 or 2, as the parser has read it. */
export interface HeldPacket {
  readonly topic: string;
  readonly payload: string | Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly messageId: number;
}

interface Held {
  /** Who is told: the connection it came over, or the one it was sent again over; nobody once that has gone. */
  client: Client | undefined;
  /** A session that outlives its connection remembers the message (QoS 2). */
  readonly session: string | undefined;
  readonly key: string;
  readonly packet: HeldPacket;
  since: number;
  /** Sessions that have it and have not acknowledged it; undefined until they are known. */
  waiting: number | undefined;
  settled: boolean;
}

/** What aedes 1.2 does not show: the end of a packet's turn, and the QoS 2 messages of a client that wait for PUBREL. */
type Inner = Client & { readonly _nextBatch: (error?: Error) => void; readonly _inboundInflight: Set<number> };
interface Incoming {
  incomingGetPacket(client: { id: string }, packet: HeldPacket): Promise<unknown>;
  incomingStorePacket(client: { id: string }, packet: HeldPacket): Promise<unknown>;
}

/**
 * Keeps PUBACK (QoS 1) and PUBREC (QoS 2) back until the sessions that must lose nothing have acknowledged the message:
 * aedes itself answers before anybody has it. Answers go out in the order of arrival of each connection. What waits is
 * bounded by the queues of those sessions. Meanwhile a client is served (its pings are answered); after `timeoutMs` it is
 * disconnected, and a message that it sends again is taken for the one that waits.
 */
export class HeldAcks {
  readonly #aedes: Aedes;
  readonly #incoming: Incoming;
  readonly #options: HeldAcksOptions;
  readonly #byCounter = new Map<number, Held>();
  readonly #byKey = new Map<string, Held>();
  readonly #lines = new Map<Client, Held[]>();
  readonly #timer: NodeJS.Timeout;

  constructor(aedes: Aedes, options: HeldAcksOptions) {
    this.#aedes = aedes;
    this.#incoming = (aedes as unknown as { persistence: Incoming }).persistence;
    this.#options = options;
    this.#timer = setInterval(() => this.#endOverdue(), Math.min(1_000, options.timeoutMs / 2));
    this.#timer.unref();
  }

  /** Messages that have not been answered. */
  get size(): number {
    return this.#byCounter.size;
  }

  /**
   * Takes over what aedes would do with the message, the answer among it.
   *
   * @param leave lets aedes answer after all: the message is durable already.
   */
  take(client: Client, packet: HeldPacket, leave: () => void): void {
    if (packet.qos !== 2) {
      this.#accept(client, packet);
      return;
    }
    const inflight = (client as Inner)._inboundInflight;
    this.#incoming.incomingGetPacket(client, packet).then(leave, () => {
      if (client.closed) return;
      if (!inflight.has(packet.messageId) && inflight.size >= this.#options.maxHalfOpen) {
        client.emit('error', new Error('too many messages of QoS 2 without their PUBREL'));
        return;
      }
      inflight.add(packet.messageId);
      this.#accept(client, packet);
    });
  }

  /** The message was put into the queues of so many sessions that must lose nothing. */
  onQueued(counter: number, sessions: number): void {
    const held = this.#byCounter.get(counter);
    if (held === undefined || sessions === 0) return;
    held.waiting = sessions;
    if (held.client !== undefined) nextTurn(held.client);
  }

  /** Such a session has acknowledged it. */
  onAcknowledged(counter: number): void {
    const held = this.#byCounter.get(counter);
    if (held?.waiting === undefined) return;
    if (--held.waiting <= 0) this.#settle(counter, held);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #accept(client: Client, packet: HeldPacket): void {
    const key = `${packet.messageId} ${client.id}`;
    const same = this.#byKey.get(key);
    // Not all clients mark what they send again; within a session the identifier tells, while the message is unanswered.
    const again = packet.dup || (!client.clean && same?.client === undefined);
    if (same !== undefined && again && isSame(same.packet, packet)) {
      if (same.client !== client) {
        same.client = client;
        same.since = this.#options.now();
        this.#lineOf(client).push(same);
      }
      nextTurn(client);
      return;
    }
    const held: Held = {
      client,
      session: client.clean ? undefined : client.id,
      key,
      packet,
      since: this.#options.now(),
      waiting: undefined,
      settled: false,
    };
    this.#byKey.set(key, held);
    this.#lineOf(client).push(held);
    let counter = -1;
    const { topic, payload, qos, retain, dup } = packet;
    const copy = { cmd: 'publish', topic, payload, qos, retain, dup } as AedesPublishPacket;
    this.#publish(copy, client, (error) => {
      if (error) {
        this.#forget(counter, held);
        if (held.client !== undefined) held.client.emit('error', error);
      } else if (held.waiting === undefined) {
        // Nobody waits for it: it is answered now that everybody who listens has it.
        if (held.client !== undefined) nextTurn(held.client);
        this.#settle(counter, held);
      }
    });
    // Given by aedes to its own copy of the packet, at once.
    counter = (this.#aedes as unknown as { counter: number }).counter;
    this.#byCounter.set(counter, held);
  }

  #publish(packet: AedesPublishPacket, client: Client, done: (error?: Error) => void): void {
    const publish = this.#aedes.publish as unknown as (
      packet: AedesPublishPacket,
      client: Client,
      done: (error?: Error) => void,
    ) => void;
    publish.call(this.#aedes, packet, client, done);
  }

  #settle(counter: number, held: Held): void {
    held.settled = true;
    this.#forget(counter, held);
    const { session, packet, client } = held;
    const id = client?.id ?? session;
    // Of QoS 2 it is remembered until the PUBREL: sent again, it is answered and not taken twice. Stored at once, in memory.
    if (packet.qos === 2 && id !== undefined) void this.#incoming.incomingStorePacket({ id }, packet);
    if (client === undefined) return;
    const line = this.#lines.get(client);
    if (line === undefined) return;
    let ready = 0;
    while (line[ready]?.settled === true) ready++;
    if (ready > 0) answer(client, line.splice(0, ready));
  }

  #forget(counter: number, held: Held): void {
    this.#byCounter.delete(counter);
    if (this.#byKey.get(held.key) === held) this.#byKey.delete(held.key);
  }

  #lineOf(client: Client): Held[] {
    const known = this.#lines.get(client);
    if (known !== undefined) return known;
    const line: Held[] = [];
    this.#lines.set(client, line);
    client.conn.once('close', () => {
      this.#lines.delete(client);
      for (const held of line) if (held.client === client) held.client = undefined;
    });
    return line;
  }

  #endOverdue(): void {
    const limit = this.#options.now() - this.#options.timeoutMs;
    const overdue = new Set<Client>();
    for (const { client, since } of this.#byCounter.values()) {
      if (client !== undefined && since <= limit) overdue.add(client);
    }
    for (const client of overdue) {
      this.#options.onTimeout(client);
      client.conn.destroy();
    }
  }
}

/** Ends the turn of a packet: aedes reads on when all that it has read has had its turn. */
function nextTurn(client: Client): void {
  (client as Inner)._nextBatch();
}

function answer(client: Client, messages: readonly Held[]): void {
  if (client.closed || client.conn.destroyed) return;
  const bytes = Buffer.allocUnsafe(messages.length * 4);
  let length = 0;
  for (const { packet } of messages) {
    bytes[length++] = packet.qos === 1 ? PUBACK : PUBREC;
    bytes[length++] = 2;
    length = bytes.writeUInt16BE(packet.messageId, length);
  }
  const { conn } = client;
  // Many answers of one moment are one write.
  if (conn.writableCorked === 0) {
    conn.cork();
    process.nextTick(() => conn.uncork());
  }
  conn.write(bytes);
}

function isSame(a: HeldPacket, b: HeldPacket): boolean {
  return a.topic === b.topic && a.qos === b.qos && Buffer.compare(Buffer.from(a.payload), Buffer.from(b.payload)) === 0;
}

/** Fixed headers of MQTT 3.1.1, sections 3.4 and 3.5. */
const PUBACK = 0x40;
const PUBREC = 0x50;
