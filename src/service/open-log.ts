import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { FleetcastError } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import type { KafkaLogOptions } from '../log/kafka/kafka-options.ts';
import type { LoadedConfiguration } from './configuration/load.ts';
import { resolveSecret } from './configuration/secret.ts';

const DEFAULT_PATH = '.fleetcast/data';

/** Folder of the embedded log, or undefined where the log is Kafka. */
export function logFolder(configuration: LoadedConfiguration): string | undefined {
  const { embedded, kafka } = configuration.log;
  return kafka === undefined ? resolve(configuration.folder, embedded?.path ?? DEFAULT_PATH) : undefined;
}

/** How the log is called on the page and in messages. */
export function logPlace(configuration: LoadedConfiguration): string {
  return logFolder(configuration) ?? configuration.log.kafka!.brokers.join(', ');
}

/**
 * Opens the configured log. Only what is used is loaded.
 * @param onError hears of errors in the background and of damage that any call meets, of an embedded log.
 * @param connectMs how long brokers may take to answer; default 30,000.
 * @throws DATA_FOLDER_DAMAGED, DATA_FOLDER_NEWER, LOG_UNAVAILABLE, CONFIG_INVALID
 */
export async function openLog(
  configuration: LoadedConfiguration,
  onError: (error: unknown) => void = () => {},
  connectMs?: number,
): Promise<EventLog> {
  const { embedded } = configuration.log;
  const path = logFolder(configuration);
  if (path !== undefined) {
    const { openEmbeddedLog } = await import('../log/embedded/embedded-log.ts');
    return openEmbeddedLog({ path, onError, ...(embedded === undefined ? {} : { maxBytes: embedded.maxSize }) });
  }
  const { openKafkaLog } = await import('../log/kafka/kafka-log.ts');
  const { kafkaFormat } = await import('./kafka-format.ts');
  const formatted = kafkaFormat(configuration);
  const connect = connectMs === undefined ? {} : { connectMs };
  return formatted(await openKafkaLog({ ...kafkaOptions(configuration), ...connect }));
}

/**
 * Opens the configured log for a command that only looks at it: a mistyped path must not make a new, empty log.
 * @throws DATA_FOLDER_MISSING, and what {@link openLog} throws
 */
export async function openExistingLog(configuration: LoadedConfiguration): Promise<EventLog> {
  const path = logFolder(configuration);
  if (path !== undefined && !existsSync(path)) {
    throw new FleetcastError('DATA_FOLDER_MISSING', `${path} does not exist`, { details: { path } });
  }
  return openLog(configuration);
}

/** @throws CONFIG_INVALID for a secret that cannot be read */
export function kafkaOptions({ log, folder }: LoadedConfiguration): KafkaLogOptions {
  const { brokers, clientId, replicas, topicConfig, compression, sasl, tls } = log.kafka!;
  return {
    brokers,
    clientId,
    compression,
    ...(replicas === undefined ? {} : { replicationFactor: replicas }),
    ...(topicConfig === undefined
      ? {}
      : {
          topicConfig: Object.fromEntries(Object.entries(topicConfig).map(([name, value]) => [name, String(value)])),
        }),
    ...(sasl === undefined
      ? {}
      : { sasl: { ...sasl, password: resolveSecret('log.kafka.sasl.password', sasl.password, folder) } }),
    ...(tls === undefined ? {} : { tls: typeof tls === 'boolean' ? tls : certificates(tls, folder) }),
  };
}

function certificates(
  files: {
    readonly caFile?: string | undefined;
    readonly certFile?: string | undefined;
    readonly keyFile?: string | undefined;
  },
  folder: string,
): { ca?: string; cert?: string; key?: string } {
  const read = (field: string, file: string | undefined) =>
    file === undefined ? undefined : resolveSecret(`log.kafka.tls.${field}`, { file }, folder);
  const ca = read('caFile', files.caFile);
  const cert = read('certFile', files.certFile);
  const key = read('keyFile', files.keyFile);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
