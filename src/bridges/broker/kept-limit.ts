/** The part of aedes' persistence that keeps retained messages and sessions, both in memory. */
export interface KeptPersistence {
  storeRetained(packet: RetainedPacket): Promise<void>;
  addSubscriptions(
    client: { readonly id: string },
    subscriptions: readonly { topic: string; qos: number }[],
  ): Promise<void>;
  removeSubscriptions(client: { readonly id: string }, topics: readonly string[]): Promise<void>;
  cleanSubscriptions(client: { readonly id: string }): Promise<void>;
}

interface RetainedPacket {
  readonly topic: string;
  readonly payload: string | Uint8Array;
}

export interface KeptLimits {
  /** Topics with a retained message, and their bytes in all. */
  readonly maxRetained: number;
  readonly maxRetainedBytes: number;
  /** Sessions that outlive their connection. */
  readonly maxSessions: number;
  /** Subscriptions of one client. */
  readonly maxSubscriptions: number;
  /** A message was not retained. */
  readonly onNotRetained: (topic: string) => void;
}

export interface KeptLimit {
  /** Why this client may not subscribe to one more filter, or undefined where it may. */
  refuses(client: { readonly id: string; readonly clean: boolean }, filter: string): string | undefined;
  /** To be told of each subscription before it is stored: what was not granted, is not. */
  decided(client: object, subscription: { readonly topic: string }, granted: boolean): void;
  /** To be told of what a client has given up. */
  released(client: object, filters: readonly string[]): void;
}

/** Per topic, besides its name and payload. */
const TOPIC_BYTES = 300;

/**
 * Bounds what clients can make the broker remember for ever: aedes itself keeps any number of retained messages and
 * sessions. A message that is over the limit is still delivered, but not retained.
 */
export function limitKept(persistence: KeptPersistence, limits: KeptLimits): KeptLimit {
  const retained = new Map<string, number>();
  let bytes = 0;
  const store = persistence.storeRetained.bind(persistence);
  persistence.storeRetained = async (packet) => {
    const before = retained.get(packet.topic) ?? 0;
    const size = packet.payload.length === 0 ? 0 : TOPIC_BYTES + packet.topic.length + packet.payload.length;
    const over =
      size > before &&
      (bytes - before + size > limits.maxRetainedBytes || (before === 0 && retained.size >= limits.maxRetained));
    if (over) return limits.onNotRetained(packet.topic);
    bytes += size - before;
    if (size === 0) retained.delete(packet.topic);
    else retained.set(packet.topic, size);
    await store(packet);
  };

  /** Filters of each session. */
  const sessions = new Map<string, Set<string>>();
  const add = persistence.addSubscriptions.bind(persistence);
  const remove = persistence.removeSubscriptions.bind(persistence);
  const clean = persistence.cleanSubscriptions.bind(persistence);
  /** Filters of each client, from the moment that they are granted: a packet may ask for many at once. */
  const held = new WeakMap<object, Set<string>>();
  const decisions = new WeakMap<object, boolean>();
  /** How far a packet's list has been stored. */
  const stored = new WeakMap<object, number>();
  persistence.addSubscriptions = async (client, subscriptions) => {
    // Aedes comes with the whole list of a packet for each filter that was granted, also with those that were not.
    const granted: { topic: string; qos: number }[] = [];
    let at = stored.get(subscriptions) ?? 0;
    for (; at < subscriptions.length; at++) {
      const decision = decisions.get(subscriptions[at]!);
      if (decision === undefined) break;
      if (decision) granted.push(subscriptions[at]!);
    }
    stored.set(subscriptions, at);
    if (granted.length === 0) return;
    const filters = sessions.get(client.id) ?? new Set();
    sessions.set(client.id, filters);
    for (const { topic } of granted) filters.add(topic);
    await add(client, granted);
  };
  persistence.removeSubscriptions = async (client, topics) => {
    const filters = sessions.get(client.id);
    for (const topic of topics) filters?.delete(topic);
    if (filters?.size === 0) sessions.delete(client.id);
    await remove(client, topics);
  };
  persistence.cleanSubscriptions = async (client) => {
    sessions.delete(client.id);
    await clean(client);
  };
  return {
    decided: (client, subscription, granted) => {
      decisions.set(subscription, granted);
      if (!granted) return;
      const filters = held.get(client) ?? new Set();
      held.set(client, filters.add(subscription.topic));
    },
    released: (client, filters) => {
      for (const filter of filters) held.get(client)?.delete(filter);
    },
    refuses: (client, filter) => {
      const { id, clean: forgets } = client;
      const filters = held.get(client);
      if (filters?.has(filter) === true) return undefined;
      const kept = forgets ? 0 : (sessions.get(id)?.size ?? 0);
      if (Math.max(filters?.size ?? 0, kept) >= limits.maxSubscriptions) return 'too-many-subscriptions';
      return !forgets && !sessions.has(id) && sessions.size >= limits.maxSessions ? 'too-many-sessions' : undefined;
    },
  };
}
