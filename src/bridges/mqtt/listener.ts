import { randomUUID } from 'node:crypto';
import { connect } from 'mqtt';
import { FleetcastError, messageOf } from '../../errors.ts';
import { type ConnectionOptions, clientOptions, displayUrl } from './connection.ts';

export interface Heard {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retained: boolean;
}

export interface ListenOptions {
  readonly connection: ConnectionOptions;
  readonly filters: readonly string[];
  readonly forMs: number;
  /** False ends the listening. */
  readonly onMessage: (message: Heard) => boolean;
  readonly signal?: AbortSignal;
}

/**
 * Listens to a broker for a while and leaves nothing behind: QoS 0, a clean session, a name of its own.
 *
 * @throws BRIDGE_CONNECT where the broker cannot be reached, refuses us or refuses every filter.
 */
export async function listen(options: ListenOptions): Promise<void> {
  const { connection, filters, forMs, onMessage, signal } = options;
  const client = connect(connection.url, {
    ...clientOptions({ ...connection, protocol: connection.protocol === '5' ? '5' : '3.1.1' }),
    clientId: `fleetcast-discover-${randomUUID().slice(0, 8)}`,
    clean: true,
    reconnectPeriod: 0,
  });
  let timer: NodeJS.Timeout | undefined;
  let stop = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      stop = () => resolve();
      if (signal?.aborted === true) return resolve();
      signal?.addEventListener('abort', stop, { once: true });
      const fail = (error: unknown) =>
        reject(
          new FleetcastError('BRIDGE_CONNECT', `cannot listen to ${displayUrl(connection.url)}: ${messageOf(error)}`, {
            cause: error,
          }),
        );
      client.on('error', fail);
      client.on('close', () => fail(new Error('the broker has closed the connection')));
      client.on('message', (topic, payload, packet) => {
        if (!onMessage({ topic, payload, retained: packet.retain })) resolve();
      });
      client.on('connect', () => {
        timer = setTimeout(resolve, forMs);
        client.subscribe([...filters], { qos: 0 }, (error, granted) => {
          if (error) fail(error);
          else if (granted !== undefined && granted.length > 0 && granted.every(({ qos }) => qos > 2)) {
            fail(new Error(`the broker refuses to let us see ${filters.join(', ')}`));
          }
        });
      });
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
    client.removeAllListeners('close');
    client.removeAllListeners('error');
    client.on('error', () => {});
    await new Promise<void>((resolve) => client.end(true, {}, () => resolve()));
  }
}
