import { FleetcastError } from '../../errors.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { Rate } from '../rate.ts';
import { AppendLane, type Entry, type LaneEvent } from './append-lane.ts';
import { CatchUp } from './catch-up.ts';
import { type ConnectionOptions, displayUrl } from './connection.ts';
import type { Message, Receipt } from './deferred-acks.ts';
import { knowsSession, sessionRecord } from './known-sessions.ts';
import { readTail } from './log-tail.ts';
import { restoreMemory } from './memory.ts';
import { Neighbours } from './neighbours.ts';
import { asRedelivered, fingerprint, RecordMaker, type RecordTopics, smallerDeadLetter } from './record-maker.ts';
import { MqttSession, type SessionEvent, type SessionStatus } from './session.ts';

export interface MqttBridgeOptions {
  readonly log: EventLog;
  readonly mapping: Mapping;
  readonly connection: ConnectionOptions;
  /** Fixed: the broker keeps under this name what the bridge has not acknowledged. Default `fleetcast-bridge`. */
  readonly clientId?: string;
  /**
   * Shares the subscriptions with the other bridges of this group (`$share`), each under a client id of its own. The
   * broker deals messages out one by one: a device's order holds within a bridge, not between them.
   */
  readonly sharedGroup?: string;
  /**
   * Names of the log topics, which must exist. `memory` is compacted and keeps what the mapping must know again after a
   * restart (Sparkplug's aliases); without it that is forgotten.
   */
  readonly topics: { readonly readings: string; readonly deadLetters: string; readonly memory?: string };
  /** Wall clock in milliseconds; ingest times come from here and never go back. */
  readonly now: () => number;
  /** How often time itself is appended to every partition; 0 leaves it to another bridge. Default 1,000. */
  readonly tickMs?: number;
  /**
   * Whether the broker delivers a message again under its old packet identifier, as MQTT demands within a session. False
   * where what comes again comes from the device itself: then its content alone tells. Default true.
   */
  readonly keepsIdentifiers?: boolean;
  readonly receiveMaximum?: number;
  readonly sessionExpirySeconds?: number;
  /** Messages and bytes that may wait for the log before no more is read from the broker. Default 16,384 and 64 MiB. */
  readonly maxPendingMessages?: number;
  readonly maxPendingBytes?: number;
  /** Most bytes of a bad payload that its dead letter keeps. Default 900 kB. */
  readonly maxDeadLetterBytes?: number;
  /**
   * Bytes that one MQTT topic may put into the dead letters in an hour: beyond half of it only the beginning of a payload
   * is kept, beyond all of it bad messages are counted only. Default 4 MiB.
   */
  readonly letterBytesPerHour?: number;
  readonly retryMs?: { readonly min?: number; readonly max?: number };
  readonly onEvent?: (event: BridgeEvent) => void;
}

export type BridgeEvent =
  | SessionEvent
  | LaneEvent
  /** Another bridge has begun to write the same messages to this log. */
  | { readonly type: 'overlap'; readonly message: string };

export interface BridgeStatus {
  readonly session: SessionStatus;
  /** Messages from the broker, redeliveries among them. */
  readonly received: number;
  readonly redelivered: number;
  readonly retained: number;
  /** Messages whose acknowledgement was sent. */
  readonly acknowledged: number;
  readonly readings: number;
  readonly deadLetters: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
  /** Acknowledged or, of QoS 0, written: a second, over the last few seconds. */
  readonly perSecond: number;
  /** Not on the log yet. */
  readonly pendingMessages: number;
  readonly pendingBytes: number;
  /** Of these the ones of QoS 1 and 2: what the broker has to keep until it is acknowledged. */
  readonly inFlight: number;
  /** How long the oldest of them has waited, milliseconds; 0 where nothing waits. */
  readonly oldestPendingMs: number;
  readonly appends: number;
  /** The log refuses or does not answer: nothing is acknowledged until it does. */
  readonly logDown: boolean;
  /** No more is read from the broker until the log has caught up. */
  readonly held: boolean;
  readonly lastTick: number | undefined;
}

/** Messages after which the reader lets the log have its turn. */
const BREATH = 2_048;

/**
 * From an MQTT broker to the log. A message is acknowledged only when all its records are durable; acknowledgements go
 * out in the order of arrival. While the log is down nothing is acknowledged, the session stays alive, and the broker
 * keeps what it must.
 */
export class MqttBridge {
  readonly #options: MqttBridgeOptions;
  readonly #lane: AppendLane<Receipt>;
  #catchUp = new CatchUp();
  #maker: RecordMaker | undefined;
  #session: MqttSession | undefined;
  #ticker: NodeJS.Timeout | undefined;
  readonly #rate: Rate;
  #received = 0;
  #inFlight = 0;
  #connection: object | undefined;
  #redelivered = 0;
  #retained = 0;
  #acknowledged = 0;
  #lastIngest = 0;
  #lastTick: number | undefined;
  #stopping = false;
  #release: (() => void) | undefined;
  #neighbours: Neighbours | undefined;
  #held: Promise<void> | undefined;

  constructor(options: MqttBridgeOptions) {
    this.#options = options;
    this.#rate = new Rate(options.now);
    this.#lane = new AppendLane<Receipt>({
      log: options.log,
      onAppended: (entries) => this.#onAppended(entries),
      asRetry: asRedelivered,
      inPlaceOf: smallerDeadLetter,
      onEvent: (event) => options.onEvent?.(event),
      ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
    });
  }

  /**
   * Begins. A broker that is away is tried for ever; {@link ready} tells when the subscriptions stand.
   *
   * @throws LOG_TOPIC_UNKNOWN where a topic is missing, BRIDGE_CONNECT for a connection that cannot work, BRIDGE_OVERLAP
   *   where another bridge writes the same messages to this log already (as far as there is a topic `memory`).
   */
  async start(): Promise<void> {
    const { log, topics, mapping } = this.#options;
    const [readings, deadLetters] = await Promise.all([
      partitionsOf(log, topics.readings),
      partitionsOf(log, topics.deadLetters),
    ]);
    const memory =
      topics.memory === undefined || !mapping.remembers ? undefined : await partitionsOf(log, topics.memory);
    if (memory !== undefined) await restoreMemory(log, memory, mapping);
    const records: RecordTopics = { readings, deadLetters, ...(memory === undefined ? {} : { memory }) };
    const tail = await readTail(log, readings);
    this.#catchUp = new CatchUp(tail.prints);
    // After a restart too, a flood of new names must not take the places of those that are known.
    mapping.admit(tail.devices);
    const { maxDeadLetterBytes = 900_000, letterBytesPerHour = 4 * 1024 * 1024 } = this.#options;
    this.#maker = new RecordMaker(mapping, records, maxDeadLetterBytes, letterBytesPerHour);
    await this.#meetNeighbours();
    const tickMs = this.#options.tickMs ?? 1000;
    if (tickMs > 0) {
      this.#tick();
      this.#ticker = setInterval(() => this.#tick(), tickMs);
    }
    const { receiveMaximum, sessionExpirySeconds, sharedGroup } = this.#options;
    const { clientId = 'fleetcast-bridge', connection, keepsIdentifiers = true } = this.#options;
    const url = displayUrl(connection.url);
    const kept = topics.memory === undefined || !keepsIdentifiers ? undefined : await log.topic(topics.memory);
    // Without that topic, readings on the log are taken for a sign of an earlier session.
    const known = kept === undefined ? tail.prints.length > 0 : await knowsSession(log, kept, clientId, url);
    let remembered = kept === undefined || known;
    const onEvent = (event: SessionEvent): void => {
      this.#options.onEvent?.(event);
      if (event.type !== 'subscribed' || remembered) return;
      remembered = true;
      // Where it does not get through, the next start warns of nothing.
      log.append([sessionRecord(kept!.name, clientId, url, this.#options.now())]).catch(() => {});
    };
    this.#session = new MqttSession({
      ...this.#options.connection,
      clientId,
      subscriptions: mapping.subscriptions.map(({ filter, qos }) => ({
        filter: sharedGroup === undefined ? filter : `$share/${sharedGroup}/${filter}`,
        qos,
      })),
      onMessage: (message, receipt) => this.#onMessage(message, receipt),
      // The embedded broker's sessions end with the process; its devices send again what is not on the log.
      ...(keepsIdentifiers ? { expectsSession: known, watchDrops: true } : {}),
      onEvent,
      ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
      ...(sessionExpirySeconds === undefined ? {} : { sessionExpirySeconds }),
    });
  }

  /** Resolves when the broker has accepted the subscriptions. */
  async ready(): Promise<void> {
    await this.#session?.ready();
  }

  /** Ends: waits up to `drainMs` for the log, acknowledges, disconnects. What is left is delivered again some day. */
  async stop(drainMs = 5_000): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    clearInterval(this.#ticker);
    if (!this.#lane.down) await this.#lane.drain(drainMs);
    await this.#lane.stop(drainMs);
    await this.#session?.end();
    this.#release?.();
    await this.#neighbours?.stop();
  }

  async #meetNeighbours(): Promise<void> {
    const { log, topics, mapping, connection, clientId = 'fleetcast-bridge', sharedGroup, now } = this.#options;
    if (topics.memory === undefined || (await log.topic(topics.memory)) === undefined) return;
    this.#neighbours = new Neighbours({
      log,
      topic: topics.memory,
      clientId,
      url: displayUrl(connection.url),
      filters: mapping.subscriptions.map(({ filter }) => filter),
      ...(sharedGroup === undefined ? {} : { sharedGroup }),
      now,
      onOverlap: (message) => this.#options.onEvent?.({ type: 'overlap', message }),
    });
    await this.#neighbours.start();
  }

  status(): BridgeStatus {
    if (this.#session === undefined || this.#maker === undefined) throw new Error('the bridge has not been started');
    const { entries, bytes } = this.#lane.pending;
    const { oldest } = this.#lane;
    return {
      session: this.#session.status(),
      received: this.#received,
      redelivered: this.#redelivered,
      retained: this.#retained,
      acknowledged: this.#acknowledged,
      readings: this.#maker.readings,
      deadLetters: Object.fromEntries(this.#maker.deadLetters),
      dropped: Object.fromEntries(this.#maker.dropped),
      perSecond: this.#rate.perSecond(),
      pendingMessages: entries,
      pendingBytes: bytes,
      inFlight: this.#inFlight,
      oldestPendingMs: oldest === undefined ? 0 : Math.max(0, this.#options.now() - oldest),
      appends: this.#lane.totals.appends,
      logDown: this.#lane.down,
      held: this.#held !== undefined,
      lastTick: this.#lastTick,
    };
  }

  #onMessage(message: Message, receipt: Receipt): Promise<void> | undefined {
    if (this.#stopping) return new Promise(() => {});
    this.#received++;
    if (message.retained) this.#retained++;
    if (receipt.connection !== this.#connection) {
      this.#connection = receipt.connection;
      this.#catchUp.connected(this.#session!.sessionPresent);
    }
    const print = fingerprint(message, this.#packetOf(message, receipt));
    const repeated = receipt.qos > 0 && !message.retained && this.#catchUp.isRepeat(print, message.duplicate);
    const duplicate = message.duplicate || repeated;
    if (duplicate) this.#redelivered++;
    const at = this.#ingestTime();
    const records = this.#maker!.make({ ...message, duplicate }, at, print);
    for (const { topic, payload } of this.#maker!.takeCommands()) {
      // A request that does not get through is made again at the next message that shows the need.
      this.#session!.publish(topic, payload, { qos: 0, retain: false }).catch(() => {});
    }
    let bytes = 64;
    for (const { key, value } of records) bytes += (key?.length ?? 0) + (value?.length ?? 0);
    if (receipt.qos > 0) this.#inFlight++;
    this.#lane.offer({ message: receipt, records, bytes, at });
    return this.#holdReader() ?? this.#breathe();
  }

  /** A retained message comes under another identifier each time; QoS 0 has none, but may be appended twice. */
  #packetOf({ retained }: Message, { qos, messageId }: Receipt): number {
    if (retained) return 0;
    if (qos > 0 && this.#options.keepsIdentifiers === false) return 0;
    return qos === 0 ? (this.#received % 0xffff) + 1 : messageId;
  }

  /**
   * A busy socket is read again and again before the event loop goes on: then everything the broker may send ahead would
   * come first, all of it would be one append, and the broker would wait meanwhile. So the reader pauses now and then.
   */
  #breathe(): Promise<void> | undefined {
    if (this.#received % BREATH !== 0) return undefined;
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Memory stays bounded: beyond the limits the reader waits until half of them is free. */
  #holdReader(): Promise<void> | undefined {
    const { maxPendingMessages = 16_384, maxPendingBytes = 64 * 1024 * 1024 } = this.#options;
    const { entries, bytes } = this.#lane.pending;
    if (entries < maxPendingMessages && bytes < maxPendingBytes) return undefined;
    this.#held ??= new Promise<void>((resolve) => {
      this.#release = () => {
        this.#held = undefined;
        this.#release = undefined;
        resolve();
      };
    });
    return this.#held;
  }

  #onAppended(entries: readonly Entry<Receipt>[]): void {
    this.#acknowledged += this.#session!.acknowledge(entries.map((entry) => entry.message));
    this.#rate.add(entries.length);
    for (const { message } of entries) if (message.qos > 0) this.#inFlight--;
    if (this.#release === undefined) return;
    const { maxPendingMessages = 16_384, maxPendingBytes = 64 * 1024 * 1024 } = this.#options;
    const pending = this.#lane.pending;
    if (pending.entries < maxPendingMessages / 2 && pending.bytes < maxPendingBytes / 2) this.#release();
  }

  #tick(): void {
    this.#lane.offerLate(() => {
      const time = this.#ingestTime();
      this.#lastTick = time;
      return this.#maker!.ticks(time);
    });
  }

  #ingestTime(): number {
    this.#lastIngest = Math.max(this.#lastIngest, this.#options.now());
    return this.#lastIngest;
  }
}

async function partitionsOf(log: EventLog, name: string): Promise<{ name: string; partitions: number }> {
  const topic = await log.topic(name);
  if (topic === undefined) {
    throw new FleetcastError('LOG_TOPIC_UNKNOWN', `the bridge needs the topic ${name}`, { details: { topic: name } });
  }
  return { name, partitions: topic.partitions };
}
