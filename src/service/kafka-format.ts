import type { EventLog } from '../log/event-log.ts';
import { ConfluentFormat } from '../log/formats/confluent.ts';
import { FormattedLog } from '../log/formats/formatted-log.ts';
import { JsonFormat } from '../log/formats/json.ts';
import { RegistryClient } from '../log/formats/registry-client.ts';
import { SchemasTopicFormat } from '../log/formats/schemas-topic.ts';
import type { WireFormat } from '../log/formats/wire-format.ts';
import { topicRecords } from '../pipelines/topics.ts';
import type { LoadedConfiguration } from './configuration/load.ts';
import { resolveSecret } from './configuration/secret.ts';
import { namesOf } from './pipeline-settings.ts';

type RegistrySection = NonNullable<NonNullable<LoadedConfiguration['log']['kafka']>['registry']>;

/**
 * What makes a log on Kafka write and read values as the configuration asks for.
 * @throws CONFIG_INVALID where a secret is missing
 */
export function kafkaFormat(configuration: LoadedConfiguration): (log: EventLog) => EventLog {
  const { registry, json } = configuration.log.kafka!;
  const names = namesOf(configuration);
  const records = topicRecords(names);
  const client = registry === undefined ? undefined : registryClient(registry, configuration.folder);
  return (log) => {
    const format: WireFormat =
      client === undefined || registry === undefined
        ? // State is nobody else's, but a process of another version takes it over during a rolling upgrade.
          new SchemasTopicFormat(log, names.schemas, new Map([...records, [names.state, ['StateSnapshot']]]))
        : new ConfluentFormat(client, records, registry.subjects, registry.register);
    if (json.length === 0) return new FormattedLog(log, format);
    const { deadLetters, modelEvents } = names;
    const all = { ...names, 'dead-letters': deadLetters, 'model-events': modelEvents };
    const topics = json.map((name) => all[name]);
    return new FormattedLog(log, new JsonFormat(topics, format));
  };
}

function registryClient(section: RegistrySection, folder: string): RegistryClient {
  const { url, user, password, token, caFile } = section;
  const field = 'log.kafka.registry';
  return new RegistryClient({
    urls: typeof url === 'string' ? [url] : url,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password: resolveSecret(`${field}.password`, password, folder) }),
    ...(token === undefined ? {} : { token: resolveSecret(`${field}.token`, token, folder) }),
    ...(caFile === undefined ? {} : { ca: resolveSecret(`${field}.caFile`, { file: caFile }, folder) }),
  });
}
