import { connect, type MqttClient, Store } from 'mqtt';
import { FleetcastError, messageOf } from '../../errors.ts';
import { type ConnectionOptions, clientOptions, displayUrl } from './connection.ts';

export interface PublisherOptions extends ConnectionOptions {
  readonly clientId?: string;
  /** Messages that may wait for their acknowledgement before {@link Publisher.publish} holds its caller. Default 256. */
  readonly window?: number;
}

export interface PublishOptions {
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
}

/** A client that publishes with a bounded number of messages under way, and sends again after a lost connection. */
export interface Publisher {
  /**
   * Resolves when there is room for the next message, not when this one has arrived. Messages keep their order.
   *
   * @param onAcknowledged called when the broker has taken it (QoS 1 and 2) or when it was written (QoS 0).
   * @throws BRIDGE_CONNECT after {@link Publisher.end}.
   */
  publish(
    topic: string,
    payload: Uint8Array | string,
    options?: PublishOptions,
    onAcknowledged?: () => void,
  ): Promise<void>;
  /** Resolves when everything that was published has been acknowledged or refused. */
  flush(): Promise<void>;
  /** Waits for the acknowledgements (up to `drainMs`, default 10,000) and disconnects. */
  end(drainMs?: number): Promise<void>;
  readonly published: number;
  readonly acknowledged: number;
  /** Messages that the broker did not take (no right, no quota; MQTT 5 tells): they are not sent again. */
  readonly refused: number;
  readonly lastRefusal: string | undefined;
  readonly connected: boolean;
}

/** @throws BRIDGE_CONNECT where the broker cannot be reached within the connect time-out, or refuses. */
export async function connectPublisher(options: PublisherOptions): Promise<Publisher> {
  const { protocolVersion, ...base } = clientOptions(options);
  const versions =
    options.protocol === undefined || options.protocol === 'auto' ? ([5, 4] as const) : [protocolVersion];
  let failure: unknown;
  for (const version of versions) {
    const client = connect(options.url, {
      ...base,
      protocolVersion: version as 4 | 5,
      reconnectOnConnackError: false,
      ...(options.clientId === undefined ? {} : { clientId: options.clientId }),
      clean: true,
      outgoingStore: new MarkedStore(),
    });
    try {
      await connected(client, options.connectTimeoutMs ?? 10_000);
      client.options.reconnectOnConnackError = true;
      return new MqttPublisher(client, options.window ?? 256);
    } catch (error) {
      failure = error;
      client.end(true);
      if (!isVersionRefused(error)) break;
    }
  }
  throw new FleetcastError('BRIDGE_CONNECT', `${displayUrl(options.url)}: ${reasonOf(failure)}`, { cause: failure });
}

/** What mqtt.js sends from here it sends again, and the protocol wants that to be marked; mqtt.js does not. */
class MarkedStore extends Store {
  override put(...[packet, done]: Parameters<Store['put']>): this {
    super.put(packet.cmd === 'publish' ? { ...packet, dup: true } : packet, done);
    return this;
  }
}

function connected(client: MqttClient, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    client.once('connect', () => {
      clearTimeout(timer);
      client.removeAllListeners('error');
      client.on('error', () => {});
      resolve();
    });
    client.once('error', (error) => {
      clearTimeout(timer);
      client.on('error', () => {});
      reject(error);
    });
    client.once('close', () => {
      clearTimeout(timer);
      reject(new Error('the connection was closed before it was accepted'));
    });
  });
}

function isVersionRefused(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === 1 || code === 132 || (error instanceof Error && /closed before/.test(error.message));
}

function reasonOf(error: unknown): string {
  const text = messageOf(error);
  if (text !== '') return text;
  return String((error as { code?: unknown }).code ?? 'cannot be reached');
}

interface Outgoing {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly onAcknowledged: (() => void) | undefined;
}

/**
 * Hands a message to mqtt.js only over a connection that stands: what it queues by itself while it sends old messages
 * again, it drops when the connection ends meanwhile.
 */
class MqttPublisher implements Publisher {
  published = 0;
  acknowledged = 0;
  refused = 0;
  lastRefusal: string | undefined;
  readonly #client: MqttClient;
  readonly #window: number;
  #open = true;
  #ended = false;
  readonly #queue: Outgoing[] = [];
  #underWay = 0;
  readonly #room: (() => void)[] = [];
  readonly #empty: (() => void)[] = [];

  constructor(client: MqttClient, window: number) {
    this.#client = client;
    this.#window = window;
    client.on('close', () => {
      this.#open = false;
    });
    client.on('connect', () => {
      this.#open = true;
      this.#send();
    });
  }

  get connected(): boolean {
    return this.#client.connected;
  }

  /** Neither acknowledged nor refused. */
  get #waiting(): number {
    return this.published - this.acknowledged - this.refused;
  }

  async publish(
    topic: string,
    payload: Uint8Array | string,
    options: PublishOptions = {},
    onAcknowledged?: () => void,
  ): Promise<void> {
    if (this.#ended) throw new FleetcastError('BRIDGE_CONNECT', 'the publisher has ended');
    this.published++;
    this.#queue.push({ topic, payload, qos: options.qos ?? 1, retain: options.retain ?? false, onAcknowledged });
    this.#send();
    if (this.#waiting < this.#window) return;
    await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  flush(): Promise<void> {
    if (this.#waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#empty.push(resolve));
  }

  async end(drainMs = 10_000): Promise<void> {
    await Promise.race([this.flush(), new Promise((resolve) => setTimeout(resolve, drainMs).unref())]);
    this.#ended = true;
    for (const resolve of [...this.#room.splice(0), ...this.#empty.splice(0)]) resolve();
    await new Promise<void>((resolve) => this.#client.end(true, {}, () => resolve()));
  }

  #send(): void {
    // A broker of MQTT 5 says how many it takes at a time.
    const most = Math.min(this.#window, this.#client.serverProperties?.receiveMaximum ?? 65_535);
    // Taken out before it is handed over: QoS 0 is called back at once, which comes here again.
    while (this.#open && this.#queue.length > 0 && this.#underWay < most) this.#hand(this.#queue.shift()!);
  }

  #hand(message: Outgoing): void {
    const { topic, payload, qos, retain } = message;
    this.#underWay++;
    this.#client.publish(topic, payload as string | Buffer, { qos, retain }, (error) => {
      this.#underWay--;
      if (this.#ended) return;
      if (error) {
        this.refused++;
        this.lastRefusal = error.message;
      } else {
        this.acknowledged++;
        message.onAcknowledged?.();
      }
      if (this.#waiting < this.#window) this.#room.shift()?.();
      if (this.#waiting === 0) for (const resolve of this.#empty.splice(0)) resolve();
      this.#send();
    });
  }
}
