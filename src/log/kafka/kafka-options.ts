import type { SecureContextOptions } from 'node:tls';
import type { Compression } from './compression.ts';

export interface KafkaLogOptions {
  /** `host:port` of some brokers. */
  readonly brokers: readonly string[];
  /** Shown in the brokers' logs and metrics. Default `fleetcast`. */
  readonly clientId?: string;
  /** Put before every topic, group and transactional id, for example `plant1.`. Default none. */
  readonly prefix?: string;
  /** TLS; `true` takes the system's certificates. PEM texts, not paths. */
  readonly tls?: boolean | Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'passphrase'>;
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
  /** Of topics that are created. Default: the broker's. */
  readonly replicationFactor?: number;
  /** Further configuration of topics that are created, for example `{ 'min.insync.replicas': '2' }`. */
  readonly topicConfig?: Readonly<Record<string, string>>;
  /** Largest key and value together, bytes; topics that are created allow as much. Default 16 MiB. */
  readonly maxRecordBytes?: number;
  /** Of what is written; every codec is read. Default none. */
  readonly compression?: Compression;
  /** How long a call goes on trying while brokers are away before it fails with LOG_UNAVAILABLE. Default 30,000. */
  readonly retryMs?: number;
  /** The same for opening. Default `retryMs`. */
  readonly connectMs?: number;
  /** A broker that does not answer for so long counts as gone: the request is sent again elsewhere. Default 15,000. */
  readonly requestTimeoutMs?: number;
  /** A transaction whose process has died is aborted by the broker after so long. Default 60,000. */
  readonly transactionTimeoutMs?: number;
}

export const DEFAULTS = {
  clientId: 'fleetcast',
  maxRecordBytes: 16 * 2 ** 20,
  compression: 'none',
  retryMs: 30_000,
  transactionTimeoutMs: 60_000,
  requestTimeoutMs: 15_000,
} as const;
