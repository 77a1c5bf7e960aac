/** The part of aedes' persistence that queues messages for sessions. */
export interface OutgoingPersistence {
  outgoingEnqueueCombi(subs: readonly { readonly clientId: string }[], packet: QueuedPacket): Promise<void>;
  outgoingEnqueue(sub: { readonly clientId: string }, packet: QueuedPacket): Promise<void>;
  outgoingUpdate(client: { readonly id: string }, packet: QueuedPacket): Promise<void>;
  outgoingClearMessageId(client: { readonly id: string }, packet: QueuedPacket): Promise<QueuedPacket | undefined>;
  /** What waits for a session, the oldest first. */
  outgoingStream(client: { readonly id: string }): AsyncIterable<QueuedPacket>;
}

export interface QueuedPacket {
  readonly cmd?: string;
  readonly topic?: string;
  readonly payload?: string | Uint8Array;
  readonly messageId?: number | undefined;
  /** Of the message, over all who get it. */
  readonly brokerCounter?: number;
}

export interface QueueLimits {
  /** Messages and bytes that wait for one session. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Bytes that wait for all sessions together but those of `neverDrop`. */
  readonly maxBytesInAll: number;
  /** Client ids whose messages must not be dropped: while their queue is full, nobody may publish. */
  readonly neverDrop: readonly string[];
  readonly onDrop: (clientId: string) => void;
  /** A session has no connection. */
  readonly isAway: (clientId: string) => boolean;
  /** A message was queued for so many sessions of `neverDrop`. */
  readonly onQueued?: (counter: number, sessions: number) => void;
  /** One of them has acknowledged it. */
  readonly onAcknowledged?: (counter: number) => void;
}

export interface QueueLimit {
  /** A queue that must not lose anything is full. */
  full(): boolean;
  queued(clientId: string): { readonly messages: number; readonly bytes: number };
}

const PACKET_BYTES = 200;

/**
 * Bounds what the broker keeps in memory for sessions that are away or slow: aedes itself queues without end. A session
 * over its limit loses new messages; one that must lose nothing makes the broker refuse publishers instead. Where all
 * together are over theirs, the largest queue of a session that is away loses its oldest, so that one who leaves
 * sessions behind does not take the room of the others.
 */
export function limitQueues(persistence: OutgoingPersistence, limits: QueueLimits): QueueLimit {
  const sizes = new Map<string, { messages: number; bytes: number }>();
  const guarded = new Set(limits.neverDrop);
  let inAll = 0;
  const over = (id: string) => {
    const size = sizes.get(id);
    return size !== undefined && (size.messages >= limits.maxMessages || size.bytes >= limits.maxBytes);
  };
  const take = (id: string, packet: QueuedPacket): boolean => {
    if (!guarded.has(id)) {
      if (over(id) || (inAll >= limits.maxBytesInAll && !makeRoom(id, bytesOf(packet)))) {
        limits.onDrop(id);
        return false;
      }
      inAll += bytesOf(packet);
    }
    const size = sizes.get(id) ?? { messages: 0, bytes: 0 };
    size.messages++;
    size.bytes += bytesOf(packet);
    sizes.set(id, size);
    return true;
  };

  const enqueue = persistence.outgoingEnqueue.bind(persistence);
  const enqueueCombi = persistence.outgoingEnqueueCombi.bind(persistence);
  const update = persistence.outgoingUpdate.bind(persistence);
  const clear = persistence.outgoingClearMessageId.bind(persistence);
  /** QoS 2: aedes puts the PUBREL in the message's place and forgets which one it was. */
  const secondHalves = new Map<string, number>();
  let shortening = false;
  /** False where no other session has more than this one. */
  const makeRoom = (id: string, bytes: number): boolean => {
    let largest = limits.isAway(id) ? (sizes.get(id)?.bytes ?? 0) + bytes : 0;
    let victim: string | undefined;
    for (const [each, size] of sizes) {
      if (size.bytes <= largest || each === id || guarded.has(each) || !limits.isAway(each)) continue;
      largest = size.bytes;
      victim = each;
    }
    if (victim === undefined) return false;
    if (!shortening) void shorten(victim);
    return true;
  };
  /** Takes an eighth off a queue, so that the largest need not be looked for at each message. */
  const shorten = async (id: string) => {
    shortening = true;
    const before = sizes.get(id)?.bytes ?? 0;
    for await (const packet of persistence.outgoingStream({ id })) {
      // One that comes back is being sent what waits for it.
      if (!limits.isAway(id)) break;
      if ((await remove({ id }, packet)) !== undefined) limits.onDrop(id);
      if ((sizes.get(id)?.bytes ?? 0) <= before * (7 / 8)) break;
    }
    // Nothing was there: a wrong count must not keep others from being looked at.
    if (sizes.get(id)?.bytes === before && limits.isAway(id)) {
      inAll -= before;
      sizes.delete(id);
    }
    shortening = false;
  };
  persistence.outgoingEnqueue = async (sub, packet) => {
    if (take(sub.clientId, packet)) await enqueue(sub, packet);
  };
  persistence.outgoingEnqueueCombi = async (subs, packet) => {
    // A session whose filters overlap gets a message once; aedes would queue it for each and lose count of them.
    const ids = new Set<string>();
    const once = subs.filter(({ clientId }) => !ids.has(clientId) && ids.add(clientId));
    await enqueueCombi(
      once.filter(({ clientId }) => take(clientId, packet)),
      packet,
    );
    const sessions = once.reduce((sum, { clientId }) => sum + (guarded.has(clientId) ? 1 : 0), 0);
    if (packet.brokerCounter !== undefined) limits.onQueued?.(packet.brokerCounter, sessions);
  };
  persistence.outgoingUpdate = async (client, packet) => {
    const { cmd, messageId, brokerCounter } = packet;
    if (guarded.has(client.id)) {
      const half = `${messageId} ${client.id}`;
      // PUBREC: from here on the session answers for the message.
      if (cmd === 'pubrel') acknowledged(secondHalves.get(half));
      else if (brokerCounter !== undefined) secondHalves.set(half, brokerCounter);
    }
    await update(client, packet);
  };
  const acknowledged = (counter: number | undefined) => {
    if (counter !== undefined) limits.onAcknowledged?.(counter);
  };
  persistence.outgoingClearMessageId = async (client, packet) => {
    // Aedes means a copy that it has not sent, of a message that the session has got already: there is none in the queue.
    return packet.messageId === undefined ? undefined : remove(client, packet);
  };
  const remove = async (client: { readonly id: string }, packet: QueuedPacket) => {
    const cleared = await clear(client, packet);
    if (cleared === undefined) return cleared;
    if (guarded.has(client.id)) {
      secondHalves.delete(`${packet.messageId} ${client.id}`);
      if (cleared.cmd !== 'pubrel') acknowledged(cleared.brokerCounter);
    }
    const size = sizes.get(client.id);
    if (size === undefined) return cleared;
    size.messages--;
    // What of QoS 2 is left in the count goes with the last message.
    const gone = size.messages <= 0 ? size.bytes : bytesOf(cleared);
    size.bytes -= gone;
    if (!guarded.has(client.id)) inAll -= gone;
    if (size.messages <= 0) sizes.delete(client.id);
    return cleared;
  };
  return {
    full: () => limits.neverDrop.some(over),
    queued: (id) => ({ ...(sizes.get(id) ?? { messages: 0, bytes: 0 }) }),
  };
}

/** The same for a packet when it comes and when it goes: of QoS 2 the second half alone may be left. */
function bytesOf({ topic, payload }: QueuedPacket): number {
  return PACKET_BYTES + (topic?.length ?? 0) + (payload?.length ?? 0);
}
