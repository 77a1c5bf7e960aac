import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { type Broker, type BrokerEvent, startBroker } from '../bridges/broker/broker.ts';
import type { Mapping } from '../bridges/mapping/mapping.ts';
import type { ConnectionOptions } from '../bridges/mqtt/connection.ts';
import type { LoadedConfiguration } from './configuration/load.ts';
import { resolveSecret } from './configuration/secret.ts';

export interface EmbeddedBroker {
  readonly broker: Broker;
  /** How the clients of this process connect: nobody else knows the password of their ids. */
  readonly connection: ConnectionOptions;
}

/** Most messages that may wait for the bridge in the embedded broker; then publishers are turned away. */
export const EMBEDDED_QUEUE = { maxQueuedMessages: 50_000, maxQueuedBytes: 64 * 1024 * 1024 } as const;

/**
 * The bridge to the embedded broker takes whatever the broker may have for it: were it to stop reading, the broker's other
 * clients would wait with it.
 */
export const EMBEDDED_BRIDGE = {
  maxPendingMessages: 2 * EMBEDDED_QUEUE.maxQueuedMessages,
  maxPendingBytes: 2 * EMBEDDED_QUEUE.maxQueuedBytes,
  // Its sessions end with the process: what comes again is sent by the devices themselves.
  keepsIdentifiers: false,
} as const;

/** @throws BROKER_FAILED, CONFIG_INVALID for a secret that is missing. */
export async function startEmbeddedBroker(
  { broker: { embedded, clientId }, folder }: LoadedConfiguration,
  mapping: Mapping,
  options: { readonly anyPort: boolean; readonly onEvent: (event: BrokerEvent) => void },
): Promise<EmbeddedBroker> {
  const { host = '127.0.0.1', port = 1883, users, allowAnonymous, tls } = embedded ?? {};
  const password = randomBytes(24).toString('base64url');
  const file = (name: string) => resolve(folder, name);
  const broker = await startBroker({
    host,
    port,
    ...options,
    ...EMBEDDED_QUEUE,
    ...(allowAnonymous === undefined ? {} : { allowAnonymous }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            certificate: file(tls.certFile),
            key: file(tls.keyFile),
            ...(tls.clientCaFile === undefined ? {} : { clientCa: file(tls.clientCaFile) }),
          },
        }),
    own: [
      { clientId, password, keeps: mapping.subscriptions },
      { clientId: outClientId(clientId), password },
    ],
    ...(users === undefined
      ? {}
      : {
          users: users.map(({ name, password: reference, publish, subscribe }) => ({
            name,
            password: resolveSecret(`broker.embedded.users ${name}`, reference, folder),
            ...(publish === undefined ? {} : { publish }),
            ...(subscribe === undefined ? {} : { subscribe }),
          })),
        }),
  });
  // It speaks 3.1.1 only: asking for 5 first would cost a refusal.
  return { broker, connection: { url: broker.ownUrl, protocol: '3.1.1', username: clientId, password } };
}

/** Client id of what publishes forecasts. */
export function outClientId(clientId: string): string {
  return `${clientId}-out`;
}
