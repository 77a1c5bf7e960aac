/** The part of aedes' persistence that queues messages for sessions. */
export interface OutgoingPersistence {
  outgoingEnqueueCombi(subs: readonly { readonly clientId: string }[], packet: QueuedPacket): Promise<void>;
  outgoingEnqueue(sub: { readonly clientId: string }, packet: QueuedPacket): Promise<void>;
  outgoingClearMessageId(client: { readonly id: string }, packet: object): Promise<QueuedPacket | undefined>;
}

export interface QueuedPacket {
  readonly topic?: string;
  readonly payload?: string | Uint8Array;
}

export interface QueueLimits {
  /** Messages and bytes that wait for one session. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Client ids whose messages must not be dropped: while their queue is full, nobody may publish. */
  readonly neverDrop: readonly string[];
  readonly onDrop: (clientId: string) => void;
}

export interface QueueLimit {
  /** A queue that must not lose anything is full. */
  full(): boolean;
  queued(clientId: string): { readonly messages: number; readonly bytes: number };
}

const PACKET_BYTES = 200;

/**
 * Bounds what the broker keeps in memory for sessions that are away or slow: aedes itself queues without end. A session
 * over its limit loses new messages; one that must lose nothing makes the broker refuse publishers instead.
 */
export function limitQueues(persistence: OutgoingPersistence, limits: QueueLimits): QueueLimit {
  const sizes = new Map<string, { messages: number; bytes: number }>();
  const guarded = new Set(limits.neverDrop);
  const over = (id: string) => {
    const size = sizes.get(id);
    return size !== undefined && (size.messages >= limits.maxMessages || size.bytes >= limits.maxBytes);
  };
  const take = (id: string, packet: QueuedPacket): boolean => {
    if (!guarded.has(id) && over(id)) {
      limits.onDrop(id);
      return false;
    }
    const size = sizes.get(id) ?? { messages: 0, bytes: 0 };
    size.messages++;
    size.bytes += bytesOf(packet);
    sizes.set(id, size);
    return true;
  };

  const enqueue = persistence.outgoingEnqueue.bind(persistence);
  const enqueueCombi = persistence.outgoingEnqueueCombi.bind(persistence);
  const clear = persistence.outgoingClearMessageId.bind(persistence);
  persistence.outgoingEnqueue = async (sub, packet) => {
    if (take(sub.clientId, packet)) await enqueue(sub, packet);
  };
  persistence.outgoingEnqueueCombi = (subs, packet) =>
    enqueueCombi(
      subs.filter(({ clientId }) => take(clientId, packet)),
      packet,
    );
  persistence.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet);
    const size = sizes.get(client.id);
    if (cleared === undefined || size === undefined) return cleared;
    size.messages--;
    size.bytes -= bytesOf(cleared);
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
