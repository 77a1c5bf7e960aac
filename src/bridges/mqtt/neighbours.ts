import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { FleetcastError, messageOf } from '../../errors.ts';
import type { EventLog } from '../../log/event-log.ts';
import { overlaps } from '../mapping/topic-filter.ts';

/** Keys of the bridge's memory topic that begin so are none of the mapping's. */
export const NEIGHBOUR_KEY = 'mqtt-bridge/';

const BEAT_MS = 10_000;
/** A bridge that has not been heard for so long is gone. */
const GONE_MS = 3 * BEAT_MS;

/** What a bridge says of itself on the memory topic. */
interface Presence {
  readonly clientId: string;
  /** Without credentials. */
  readonly url: string;
  readonly filters: readonly string[];
  readonly sharedGroup?: string;
  readonly instance: string;
  readonly host: string;
  readonly pid: number;
  readonly at: number;
}

export interface NeighboursOptions {
  readonly log: EventLog;
  /** The compacted topic of the bridge's memory. */
  readonly topic: string;
  readonly clientId: string;
  readonly url: string;
  readonly filters: readonly string[];
  readonly sharedGroup?: string;
  readonly now: () => number;
  /** Told once of each bridge that has come since and takes the same messages. */
  readonly onOverlap: (message: string) => void;
  readonly beatMs?: number;
}

interface Heard {
  readonly presence: Presence;
  /** Of this process's monotonic clock; undefined for what stood on the log before the start. */
  readonly at: number | undefined;
}

/** Bridges of this process. */
const here = new Set<string>();

/**
 * Bridges of one log that take the same messages would write each of them twice, under client ids of their own and thus
 * with nothing to tell a repetition by. Each says on the memory topic what it takes; the one that comes later is refused.
 * Bridges under one client id are the broker's matter: they throw each other out.
 */
export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #instance = randomUUID();
  readonly #others = new Map<string, Heard>();
  readonly #told = new Set<string>();
  #next = 0;
  #beating = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** @throws BRIDGE_OVERLAP where a bridge that is alive takes messages which this one would take. */
  async start(): Promise<void> {
    this.#next = (await this.#options.log.offsets(this.#options.topic, 0)).earliest;
    await this.#read(undefined);
    this.#refuse();
    here.add(this.#instance);
    try {
      const own = await this.#say().catch(() => undefined);
      // Two that start at once: the one whose word stands first stays.
      await this.#read(performance.now(), own);
      this.#refuse();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#timer = setInterval(() => void this.#beat(), this.#options.beatMs ?? BEAT_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (!here.delete(this.#instance)) return;
    const { log, topic, now } = this.#options;
    await log.append([{ topic, partition: 0, timestamp: now(), key: this.#key(), value: null }]).catch(() => {});
  }

  /** A log that is down is told elsewhere. */
  async #beat(): Promise<void> {
    if (this.#beating) return;
    this.#beating = true;
    try {
      await this.#say();
      await this.#read(performance.now());
    } catch {
      return;
    } finally {
      this.#beating = false;
    }
    for (const other of this.#rivals()) {
      if (this.#told.has(other.instance)) continue;
      this.#told.add(other.instance);
      this.#options.onOverlap(this.#text(other));
    }
  }

  #refuse(): void {
    for (const other of this.#rivals()) {
      throw new FleetcastError('BRIDGE_OVERLAP', this.#text(other), { details: { clientId: other.clientId } });
    }
  }

  #key(): Buffer {
    return Buffer.from(NEIGHBOUR_KEY + JSON.stringify([this.#options.clientId, this.#options.url]));
  }

  async #say(): Promise<number> {
    const { log, topic, clientId, url, filters, sharedGroup, now } = this.#options;
    const at = now();
    const presence: Presence = {
      clientId,
      url,
      filters,
      ...(sharedGroup === undefined ? {} : { sharedGroup }),
      instance: this.#instance,
      host: hostname(),
      pid: process.pid,
      at,
    };
    const value = Buffer.from(JSON.stringify(presence));
    const [offset] = await log.append([{ topic, partition: 0, timestamp: at, key: this.#key(), value }]);
    return offset!;
  }

  /** @param at when that was said, see {@link Heard} */
  async #read(at: number | undefined, until?: number): Promise<void> {
    const { log, topic } = this.#options;
    const end = until ?? (await log.offsets(topic, 0)).end;
    while (this.#next < end) {
      const batch = await log.read(topic, 0, this.#next, { maxRecords: 1000, maxBytes: 4_000_000 });
      for (const { key, value, offset } of batch.records) {
        const name = key === null ? '' : Buffer.from(key).toString('utf8');
        if (offset >= end || !name.startsWith(NEIGHBOUR_KEY)) continue;
        const presence = value === null ? undefined : presenceOf(value);
        if (presence === undefined) this.#others.delete(name);
        else this.#others.set(name, { presence, at });
      }
      if (batch.nextOffset <= this.#next) return;
      this.#next = batch.nextOffset;
    }
  }

  #rivals(): readonly Presence[] {
    const { clientId, url, filters, sharedGroup, now } = this.#options;
    const heard = [...this.#others.values()].filter((other) => isAlive(other, now()));
    return heard
      .map(({ presence }) => presence)
      .filter(
        (other) =>
          other.clientId !== clientId &&
          other.url === url &&
          (sharedGroup === undefined || other.sharedGroup !== sharedGroup) &&
          other.filters.some((theirs) => filters.some((ours) => overlaps(theirs, ours))),
      );
  }

  #text({ clientId, host, pid }: Presence): string {
    const own = JSON.stringify(this.#options.clientId);
    return `the bridge ${JSON.stringify(clientId)} (process ${pid} on ${host}) writes the same messages to this log as ${own} would: each would be there twice`;
  }
}

/** What came since the start goes by this process's own clock: another host's may stand elsewhere, and either may jump. */
function isAlive({ presence, at }: Heard, now: number): boolean {
  const { host, pid, instance } = presence;
  const silentMs = at === undefined ? Math.abs(now - presence.at) : performance.now() - at;
  if (silentMs > GONE_MS) return false;
  if (host !== hostname()) return true;
  if (pid === process.pid) return here.has(instance);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // There, and another user's.
    return messageOf(error).includes('EPERM');
  }
}

function presenceOf(value: Uint8Array): Presence | undefined {
  try {
    const found = JSON.parse(Buffer.from(value).toString('utf8')) as Partial<Presence>;
    const whole = typeof found.clientId === 'string' && typeof found.url === 'string' && typeof found.at === 'number';
    return whole && Array.isArray(found.filters) ? (found as Presence) : undefined;
  } catch {
    return undefined;
  }
}
