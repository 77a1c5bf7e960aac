import { connect, type MqttClient } from 'mqtt';
import { messageOf } from '../../errors.ts';
import type { Subscription } from '../mapping/subscriptions.ts';
import { type ConnectionOptions, clientOptions, displayUrl } from './connection.ts';
import { acknowledge, deferAcknowledgements, isDeferral, type Receipt, type Take } from './deferred-acks.ts';

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
  readonly onEvent?: (event: SessionEvent) => void;
}

export type SessionEvent =
  | { readonly type: 'connected'; readonly protocol: '5' | '3.1.1'; readonly sessionPresent: boolean }
  | { readonly type: 'subscribed'; readonly filters: readonly string[] }
  | { readonly type: 'subscription-refused'; readonly filter: string; readonly code: number }
  | { readonly type: 'disconnected' }
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
  #reading: Promise<void> | undefined;
  readonly #waiting: (() => void)[] = [];
  readonly #keepalive: NodeJS.Timeout;

  /** @throws BRIDGE_CONNECT where the options cannot work; a broker that is away is no error. */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#backOff = options.reconnectMs?.min ?? 250;
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
      const wait = options.onMessage(message, receipt);
      if (wait !== undefined) this.#hold(wait);
      return wait;
    });
    this.#client.on('connect', (packet) => this.#onConnect(packet.sessionPresent));
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
    this.#backOff = this.#options.reconnectMs?.min ?? 250;
    this.#client.options.reconnectPeriod = this.#backOff;
    this.#emit({ type: 'connected', protocol: this.#protocol(), sessionPresent });
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
    this.#client.options.reconnectPeriod = this.#backOff;
    this.#backOff = Math.min(this.#backOff * 2, this.#options.reconnectMs?.max ?? 30_000);
    this.#emit({ type: 'disconnected' });
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
