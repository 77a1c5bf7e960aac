import { connect, type MqttClient } from 'mqtt';
import { messageOf } from '../../errors.ts';
import type { Subscription } from '../mapping/subscriptions.ts';
import { matchesFilter } from '../mapping/topic-filter.ts';
import { BrokerDrops, DROPS_TOPIC } from './broker-drops.ts';
import { type ConnectionOptions, clientOptions, displayUrl } from './connection.ts';
import { acknowledge, deferAcknowledgements, isDeferral, type Receipt, type Take } from './deferred-acks.ts';
import { Takeovers } from './takeovers.ts';

/** Reason code of MQTT 5. */
const SESSION_TAKEN_OVER = 0x8e;

export interface SessionOptions extends ConnectionOptions {
  /** Fixed: the broker keeps what was not acknowledged under this name. */
  readonly clientId: string;
  readonly subscriptions: readonly Subscription[];
  /** Most messages the broker sends ahead of acknowledgements (MQTT 5). Default 8,192. */
  readonly receiveMaximum?: number;
  /** How long the broker keeps the session of a bridge that is away (MQTT 5). Seconds; default 7 days. */
  readonly sessionExpirySeconds?: number;
  /** Every message in the order of arrival; a promise holds the reader until it resolves. */
  readonly onMessage: Take;
  /** The broker should know the session: it is told where it does not. Default false. */
  readonly expectsSession?: boolean;
  /** Asks the broker how many messages it has dropped ($SYS, as Mosquitto has it). Default false. */
  readonly watchDrops?: boolean;
  readonly onEvent?: (event: SessionEvent) => void;
}

export type SessionEvent =
  | { readonly type: 'connected'; readonly protocol: '5' | '3.1.1'; readonly sessionPresent: boolean }
  | { readonly type: 'subscribed'; readonly filters: readonly string[] }
  | { readonly type: 'subscription-refused'; readonly filter: string; readonly code: number }
  | { readonly type: 'disconnected'; readonly reason?: string }
  /** Another client has the same client id. */
  | { readonly type: 'taken-over'; readonly message: string }
  /** What waited for us in the session is gone. */
  | { readonly type: 'session-lost'; readonly message: string }
  /** The broker has thrown messages away, of whatever client. */
  | { readonly type: 'broker-dropped'; readonly total: number; readonly more: number; readonly message: string }
  | { readonly type: 'fallback'; readonly reason: string }
  | { readonly type: 'error'; readonly message: string };

export interface SessionStatus {
  readonly url: string;
  readonly clientId: string;
  readonly connected: boolean;
  readonly protocol: '5' | '3.1.1';
  /** Connections made since the start. */
  readonly connections: number;
  readonly subscribed: boolean;
  readonly lastError: string | undefined;
  /** Why, where another client has the same client id and the two throw each other out. */
  readonly takenOver?: string | undefined;
  /** Times that another client has taken the session. */
  readonly takeovers?: number;
  /** Times that the broker had forgotten a session which should have been there. */
  readonly sessionsLost?: number;
  /** Messages that the broker has dropped since its start, of any client, where it says so. */
  readonly brokerDropped?: number | undefined;
}

/** A persistent session with the broker that reconnects for ever and acknowledges only what it is told to. */
export class MqttSession {
  readonly #options: SessionOptions;
  readonly #client: MqttClient;
  #connections = 0;
  #subscribed = false;
  #everSubscribed = false;
  #failuresBeforeConnack = 0;
  #connackSeen = false;
  #backOff: number;
  #lastError: string | undefined;
  #ended = false;
  #sessionsLost = 0;
  /** What a DISCONNECT of the broker has said (MQTT 5). */
  #farewell: { readonly code: number; readonly text: string } | undefined;
  readonly #takeovers: Takeovers;
  readonly #drops: BrokerDrops | undefined;
  /** A subscription has the broker's count of dropped messages too: they are its messages, at its QoS. */
  readonly #dropsAreWanted: boolean;
  #reading: Promise<void> | undefined;
  readonly #waiting: (() => void)[] = [];
  readonly #keepalive: NodeJS.Timeout;

  /** @throws BRIDGE_CONNECT where the options cannot work; a broker that is away is no error. */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#backOff = options.reconnectMs?.min ?? 250;
    this.#dropsAreWanted = options.subscriptions.some(({ filter }) => matchesFilter(filter, DROPS_TOPIC));
    this.#takeovers = new Takeovers(2 * (options.reconnectMs?.max ?? 30_000));
    if (options.watchDrops === true) this.#drops = new BrokerDrops((total, more) => this.#onDrops(total, more));
    const base = clientOptions(options);
    this.#client = connect(options.url, {
      ...base,
      clientId: options.clientId,
      clean: false,
      manualConnect: true,
      ...(base.protocolVersion === 5
        ? {
            properties: {
              receiveMaximum: options.receiveMaximum ?? 8192,
              sessionExpiryInterval: options.sessionExpirySeconds ?? 7 * 86_400,
            },
          }
        : {}),
    });
    deferAcknowledgements(this.#client, (message, receipt) => {
      if (this.#drops?.take(message.topic, message.payload) === true && !this.#dropsAreWanted) return undefined;
      const wait = options.onMessage(message, receipt);
      if (wait !== undefined) this.#hold(wait);
      return wait;
    });
    this.#client.on('connect', (packet) => this.#onConnect(packet.sessionPresent));
    this.#client.on('disconnect', ({ reasonCode = 0, properties }) => {
      this.#farewell = { code: reasonCode, text: properties?.reasonString ?? '' };
    });
    // Before mqtt.js reads how long to wait.
    this.#client.prependListener('close', () => this.#forgetTakeover());
    this.#client.on('close', () => this.#onClose());
    this.#client.on('error', (error) => this.#onError(error));
    // mqtt.js answers a quiet line with a ping, but cannot see the answer while the reader is held: it would hang up.
    this.#keepalive = setInterval(() => this.#keepAliveWhileHeld(), ((options.keepalive ?? 30) * 1000) / 3);
    this.#keepalive.unref();
    this.#client.connect();
  }

  status(): SessionStatus {
    return {
      url: displayUrl(this.#options.url),
      clientId: this.#options.clientId,
      connected: this.#client.connected,
      protocol: this.#protocol(),
      connections: this.#connections,
      subscribed: this.#subscribed,
      lastError: this.#lastError,
      takenOver: this.#takeovers.active(performance.now()) ? this.#takenOverText() : undefined,
      takeovers: this.#takeovers.count,
      sessionsLost: this.#sessionsLost,
      brokerDropped: this.#drops?.total,
    };
  }

  /** Whether the broker goes on with an old session. Known before the first message; mqtt.js tells of the connection later. */
  get sessionPresent(): boolean {
    const { connackPacket } = this.#client as unknown as { connackPacket?: { sessionPresent?: boolean } };
    return connackPacket?.sessionPresent === true;
  }

  /** Resolves when the subscriptions are in place (again). */
  ready(): Promise<void> {
    if (this.#subscribed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Acknowledges messages in the order of their arrival; see {@link acknowledge}. */
  acknowledge(receipts: readonly Receipt[]): number {
    return acknowledge(this.#client, receipts);
  }

  /** Sends a message of ours; resolves when the broker has it (QoS 1 and 2). */
  publish(topic: string, payload: Uint8Array | string, options: { qos: 0 | 1 | 2; retain: boolean }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.publish(topic, payload as Buffer | string, options, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Disconnects. The broker keeps the session and what was not acknowledged. */
  async end(): Promise<void> {
    this.#ended = true;
    clearInterval(this.#keepalive);
    // Ended before the broker has answered, mqtt.js would connect again and take the session from a later process.
    this.#client.options.reconnectPeriod = 0;
    await new Promise<void>((resolve) => this.#client.end(true, {}, () => resolve()));
  }

  #protocol(): '5' | '3.1.1' {
    return this.#client.options.protocolVersion === 5 ? '5' : '3.1.1';
  }

  #onConnect(sessionPresent: boolean): void {
    this.#connections++;
    this.#connackSeen = true;
    this.#failuresBeforeConnack = 0;
    this.#lastError = undefined;
    this.#takeovers.accepted(performance.now());
    // While two take the session from each other, being accepted is no success.
    if (!this.#takeovers.active(performance.now())) this.#backOff = this.#options.reconnectMs?.min ?? 250;
    this.#client.options.reconnectPeriod = this.#backOff;
    this.#emit({ type: 'connected', protocol: this.#protocol(), sessionPresent });
    const expected = this.#everSubscribed || (this.#connections === 1 && this.#options.expectsSession === true);
    if (!sessionPresent && expected) this.#onSessionLost();
    // In a session that goes on the subscriptions stand, and MQTT 3.1.1 would send all retained messages again.
    if (sessionPresent && this.#everSubscribed) this.#onSubscribed();
    else this.#subscribe(this.#client.stream);
  }

  /** Also in a session that was kept: the mapping may have changed since it was made. */
  #subscribe(connection: object): void {
    const wanted = Object.fromEntries(
      this.#options.subscriptions.map(({ filter, qos }) => [filter, { qos, rh: 1 as const }]),
    );
    const filters = Object.keys(wanted);
    if (filters.length === 0) {
      this.#onSubscribed();
      return;
    }
    this.#client.subscribe(wanted, (error, granted) => {
      if (this.#ended || connection !== this.#client.stream) return;
      for (const { topic, qos } of granted ?? []) {
        if (qos > 2) this.#emit({ type: 'subscription-refused', filter: topic, code: qos });
      }
      if (error !== null) {
        this.#fail(`subscribe: ${messageOf(error)}`);
        // Nobody else would try again.
        if (this.#client.connected) this.#client.stream.end();
        return;
      }
      this.#emit({ type: 'subscribed', filters });
      this.#onSubscribed();
      if (!this.#dropsAreWanted) this.#drops?.ask(this.#client);
    });
  }

  #onSubscribed(): void {
    this.#subscribed = true;
    this.#everSubscribed = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #onClose(): void {
    this.#subscribed = false;
    if (this.#ended) return;
    if (!this.#connackSeen) this.#fallBackAfter('the connection was closed before it was accepted');
    this.#connackSeen = false;
    this.#drops?.closed();
    const farewell = this.#farewell;
    this.#farewell = undefined;
    const explained = farewell !== undefined || this.#lastError !== undefined;
    const how = farewell?.code === SESSION_TAKEN_OVER ? 'taken' : explained ? 'explained' : 'silent';
    const taken = this.#takeovers.closed(performance.now(), how);
    if (taken) this.#lastError = this.#takenOverText();
    this.#client.options.reconnectPeriod = this.#backOff;
    this.#backOff = Math.min(this.#backOff * 2, this.#options.reconnectMs?.max ?? 30_000);
    if (taken) this.#emit({ type: 'taken-over', message: this.#takenOverText() });
    const reason = farewell === undefined ? undefined : `0x${farewell.code.toString(16)} ${farewell.text}`.trim();
    this.#emit({ type: 'disconnected', ...(reason === undefined ? {} : { reason }) });
  }

  /** A connection that has lasted ends the suspicion, and the waiting because of it. */
  #forgetTakeover(): void {
    if (this.#ended || !this.#connackSeen || this.#takeovers.active(performance.now())) return;
    this.#backOff = this.#options.reconnectMs?.min ?? 250;
    this.#client.options.reconnectPeriod = this.#backOff;
  }

  #takenOverText(): string {
    const { clientId, url } = this.#options;
    return `another client uses the client id ${JSON.stringify(clientId)} at ${displayUrl(url)}, and the two throw each other out: end one of them, or give it a \`broker.clientId\` of its own (of services that share a log, each its own)`;
  }

  #onSessionLost(): void {
    this.#sessionsLost++;
    const message = `the broker has no session of ${JSON.stringify(this.#options.clientId)} any more: what was sent to it while we were away is lost, if anything was (docs/bridge.md, "Settings of your broker")`;
    this.#emit({ type: 'session-lost', message });
  }

  #onDrops(total: number, more: number): void {
    const message = `the broker says that it has dropped ${more} messages for clients whose queue was full, maybe ours (${total} since its start): raise its limits (docs/bridge.md, "Settings of your broker")`;
    this.#emit({ type: 'broker-dropped', total, more, message });
  }

  #onError(error: Error): void {
    if (isDeferral(error) || this.#ended) return;
    const code = (error as { code?: unknown }).code;
    // 1 is MQTT 3.1.1's, 132 MQTT 5's "unsupported protocol version".
    if (code === 1 || code === 132) this.#fallBack(`the broker refuses MQTT 5 (code ${code})`);
    else this.#fail(error.message === '' ? String(code) : error.message);
  }

  #fallBackAfter(reason: string): void {
    // Old brokers hang up on a version that they do not know; so does a broker that is just starting.
    if (++this.#failuresBeforeConnack >= 3 && this.#lastError === undefined) this.#fallBack(reason);
  }

  #fallBack(reason: string): void {
    const { options } = this.#client;
    if ((this.#options.protocol ?? 'auto') !== 'auto' || options.protocolVersion !== 5) {
      this.#fail(reason);
      return;
    }
    options.protocolVersion = 4;
    delete options.properties;
    this.#backOff = this.#options.reconnectMs?.min ?? 250;
    this.#emit({ type: 'fallback', reason });
  }

  #fail(message: string): void {
    this.#lastError = message;
    this.#emit({ type: 'error', message });
  }

  #hold(wait: Promise<void>): void {
    this.#reading = wait;
    wait.then(() => {
      if (this.#reading === wait) this.#reading = undefined;
    });
  }

  #keepAliveWhileHeld(): void {
    if (this.#reading === undefined || !this.#client.connected) return;
    this.#client.sendPing();
    this.#client.reschedulePing(true);
  }

  #emit(event: SessionEvent): void {
    this.#options.onEvent?.(event);
  }
}
