import { resolve } from 'node:path';
import { FleetcastError } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import type { LoadedConfiguration } from './configuration/load.ts';

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
 * @throws DATA_FOLDER_DAMAGED, DATA_FOLDER_NEWER, LOG_UNAVAILABLE, CONFIG_INVALID
 */
export async function openLog(configuration: LoadedConfiguration): Promise<EventLog> {
  const { embedded } = configuration.log;
  const path = logFolder(configuration);
  if (path !== undefined) {
    const { openEmbeddedLog } = await import('../log/embedded/embedded-log.ts');
    return openEmbeddedLog({ path, ...(embedded === undefined ? {} : { maxBytes: embedded.maxSize }) });
  }
  throw new FleetcastError('CONFIG_INVALID', 'log.kafka: this version has the embedded log only');
}
