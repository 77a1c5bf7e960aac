import type { SchemaName } from '../events/schema-registry.ts';
import type { TopicSpec } from '../log/event-log.ts';

/** Names of the topics; all begin with the configured prefix. */
export interface TopicNames {
  readonly readings: string;
  readonly deadLetters: string;
  readonly history: string;
  readonly forecasts: string;
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

export function topicNames(prefix = ''): TopicNames {
  return {
    readings: `${prefix}readings`,
    deadLetters: `${prefix}dead-letters`,
    history: `${prefix}history`,
    forecasts: `${prefix}forecasts`,
    scores: `${prefix}scores`,
    alerts: `${prefix}alerts`,
    state: `${prefix}state`,
    models: `${prefix}models`,
    modelEvents: `${prefix}model-events`,
    memory: `${prefix}bridge-memory`,
    schemas: `${prefix}schemas`,
  };
}

/** Which records are on the topics that others read or write. */
export function topicRecords(names: TopicNames): Map<string, readonly SchemaName[]> {
  return new Map<string, readonly SchemaName[]>([
    [names.readings, ['Reading', 'Tick', 'Activation', 'HistoryFlush']],
    [names.deadLetters, ['DeadLetter']],
    [names.history, ['HistorySegment', 'HistoryFlush']],
    [names.forecasts, ['Forecast']],
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
  /** Milliseconds: forecasts, scores, alerts and dead letters. */
  readonly outputRetentionMs?: number;
}

/** What `ensureTopics` is to create. `models`, `model-events` and `bridge-memory` have one partition: they are few and ordered. */
export function topicSpecs(names: TopicNames, settings: TopicSettings): TopicSpec[] {
  const { partitions } = settings;
  const deleted = (name: string, retentionMs: number | undefined): TopicSpec => ({
    name,
    partitions,
    cleanup: 'delete',
    ...(retentionMs === undefined ? {} : { retentionMs }),
  });
  return [
    deleted(names.readings, settings.readingsRetentionMs),
    deleted(names.deadLetters, settings.outputRetentionMs),
    deleted(names.forecasts, settings.outputRetentionMs),
    deleted(names.scores, settings.outputRetentionMs),
    deleted(names.alerts, settings.outputRetentionMs),
    { name: names.history, partitions, cleanup: 'compact' },
    { name: names.state, partitions, cleanup: 'compact' },
    { name: names.models, partitions: 1, cleanup: 'compact' },
    { name: names.modelEvents, partitions: 1, cleanup: 'delete' },
    { name: names.memory, partitions: 1, cleanup: 'compact' },
  ];
}
