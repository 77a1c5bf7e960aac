import type { SchemaName } from '../events/schema-registry.ts';
import type { TopicSpec } from '../log/event-log.ts';

/** Names of the topics; all begin with the configured prefix. */
export interface TopicNames {
  readonly readings: string;
  readonly deadLetters: string;
  readonly history: string;
  readonly forecasts: string;
  /** Only where events are forecast. */
  readonly nextEvents: string;
  readonly scores: string;
  readonly alerts: string;
  readonly state: string;
  readonly models: string;
  readonly modelEvents: string;
  /** What the bridge must know again after a restart, such as Sparkplug's aliases. */
  readonly memory: string;
  /** Schemas by fingerprint, on Kafka without a schema registry. */
  readonly schemas: string;
}

/** @param own names to use instead of the usual ones; the prefix stands before them as well. */
export function topicNames(
  prefix = '',
  own: { readonly [K in keyof TopicNames]?: string | undefined } = {},
): TopicNames {
  const usual: TopicNames = {
    readings: 'readings',
    deadLetters: 'dead-letters',
    history: 'history',
    forecasts: 'forecasts',
    nextEvents: 'next-events',
    scores: 'scores',
    alerts: 'alerts',
    state: 'state',
    models: 'models',
    modelEvents: 'model-events',
    memory: 'bridge-memory',
    schemas: 'schemas',
  };
  const named = (name: keyof TopicNames): string => prefix + (own[name] ?? usual[name]);
  return Object.fromEntries(
    Object.keys(usual).map((name) => [name, named(name as keyof TopicNames)]),
  ) as unknown as TopicNames;
}

/** Which records are on the topics that others read or write. */
export function topicRecords(names: TopicNames): Map<string, readonly SchemaName[]> {
  return new Map<string, readonly SchemaName[]>([
    [names.readings, ['Reading', 'Tick', 'Activation', 'HistoryFlush']],
    [names.deadLetters, ['DeadLetter']],
    [names.history, ['HistorySegment', 'HistoryFlush']],
    [names.forecasts, ['Forecast']],
    [names.nextEvents, ['NextEvent']],
    [names.scores, ['Score']],
    [names.alerts, ['Alert']],
    [names.models, ['ModelArtefact']],
    [names.modelEvents, ['ModelEvent']],
  ]);
}

export interface TopicSettings {
  /** Of the topics by device: they are co-partitioned. */
  readonly partitions: number;
  /** Milliseconds; recovery and replays need the readings of this time. */
  readonly readingsRetentionMs?: number;
  /** Whether events are forecast: adds the topic `next-events`. */
  readonly events?: boolean;
  /** Milliseconds: forecasts, scores, alerts and dead letters. */
  readonly outputRetentionMs?: number;
  /** Most bytes of dead letters in all partitions together: beyond them the oldest go before their time. */
  readonly deadLetterBytes?: number;
}

/** What `ensureTopics` is to create. `models`, `model-events` and `bridge-memory` have one partition: they are few and ordered. */
export function topicSpecs(names: TopicNames, settings: TopicSettings): TopicSpec[] {
  const { partitions, deadLetterBytes } = settings;
  const deleted = (name: string, retentionMs: number | undefined): TopicSpec => ({
    name,
    partitions,
    cleanup: 'delete',
    ...(retentionMs === undefined ? {} : { retentionMs }),
  });
  return [
    deleted(names.readings, settings.readingsRetentionMs),
    {
      ...deleted(names.deadLetters, settings.outputRetentionMs),
      ...(deadLetterBytes === undefined ? {} : { retentionBytes: Math.ceil(deadLetterBytes / partitions) }),
    },
    deleted(names.forecasts, settings.outputRetentionMs),
    ...(settings.events ? [deleted(names.nextEvents, settings.outputRetentionMs)] : []),
    deleted(names.scores, settings.outputRetentionMs),
    deleted(names.alerts, settings.outputRetentionMs),
    { name: names.history, partitions, cleanup: 'compact' },
    { name: names.state, partitions, cleanup: 'compact' },
    { name: names.models, partitions: 1, cleanup: 'compact' },
    { name: names.modelEvents, partitions: 1, cleanup: 'delete' },
    { name: names.memory, partitions: 1, cleanup: 'compact' },
  ];
}
