import { FleetcastError } from '../errors.ts';
import { schemaOf } from '../events/codec.ts';
import type { EventLog, LogRecord, OutRecord } from '../log/event-log.ts';
import type { ServedModel } from '../operators/served-model.ts';
import type { ModelSource } from '../pipelines/activation.ts';
import { forecastingTopology } from '../pipelines/forecasting.ts';
import { runPartition } from '../pipelines/partition-run.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';

export interface ReplayOptions {
  readonly log: EventLog;
  /** Topics and settings; another configuration than the live one answers a what-if. */
  readonly config: PipelineConfig;
  readonly models: ModelSource;
  /** Serves from the first record on, instead of the models that the activations name. */
  readonly model?: ServedModel;
  /** Ingest times, milliseconds: outputs caused at or after `from` and before `to`. State is built from the first record on. */
  readonly from?: number;
  readonly to?: number;
  readonly onProgress?: (progress: ReplayProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ReplayProgress {
  readonly partition: number;
  readonly partitions: number;
  /** Outputs so far. */
  readonly outputs: number;
}

export interface ReplayResult {
  /** Outputs by topic. */
  readonly outputs: Readonly<Record<string, number>>;
}

/**
 * Runs the recorded input again, as fast as it goes, and writes the outputs to topics of their own: the live names with
 * `prefix` before them. The live ones are only read.
 * @throws USAGE where those topics hold records
 */
export async function replay(options: ReplayOptions & { readonly prefix: string }): Promise<ReplayResult> {
  const { log, config, prefix } = options;
  const { topics } = config;
  for (const name of outputTopics(config)) await prepareTopic(log, name, `${prefix}${name}`);
  const outputs: Record<string, number> = {};
  const { partitions } = (await log.topic(topics.readings))!;
  for (let partition = 0; partition < partitions; partition++) {
    const { end } = await log.offsets(topics.readings, partition);
    for await (const records of outputsOf(options, partition, end)) {
      await log.append(records.map((record) => ({ ...record, topic: `${prefix}${record.topic}` })));
      for (const { topic } of records) outputs[topic] = (outputs[topic] ?? 0) + 1;
      options.onProgress?.({ partition, partitions, outputs: sum(outputs) });
    }
  }
  return { outputs };
}

/** @throws USAGE where the topic holds records: those of the pipeline itself, or of another replay */
async function prepareTopic(log: EventLog, name: string, own: string): Promise<void> {
  const spec = await log.topic(name);
  if (spec === undefined) return;
  await log.ensureTopics([{ ...spec, name: own }]);
  for (let partition = 0; partition < spec.partitions; partition++) {
    if ((await log.offsets(own, partition)).end === 0) continue;
    throw new FleetcastError('USAGE', `the topic ${own} holds records already; choose another prefix`);
  }
}

export function outputTopics({ topics, events }: PipelineConfig): string[] {
  return [
    ...(events === undefined ? [] : [topics.nextEvents]),
    topics.forecasts,
    topics.scores,
    topics.alerts,
    topics.history,
    topics.deadLetters,
  ];
}

/** What the recorded input of a partition makes, batch by batch, within the times that the options name. */
export async function* outputsOf(
  options: ReplayOptions,
  partition: number,
  until: number,
): AsyncGenerator<readonly OutRecord[]> {
  const { log, config, models, model, from = -Infinity, to = Infinity, signal } = options;
  const run = runPartition({
    log,
    topology: forecastingTopology(config, models),
    partition,
    until,
    deadLetterTopic: config.topics.deadLetters,
    ...(model === undefined ? {} : { first: championFrom(config.model, model), accept: isNoActivation }),
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const records of run) {
    yield records.filter(({ timestamp }) => timestamp >= from && timestamp < to);
    // Ingest times of a partition need not ascend strictly, but they do not go back by more than a batch.
    if (records.length > 0 && records.every(({ timestamp }) => timestamp >= to)) return;
  }
}

/** What is broadcast before the first record where a model serves from there on. */
export function championFrom(name: string, served: ServedModel) {
  const activation = {
    type: 'Activation',
    name,
    modelId: served.model.id,
    role: 'champion',
    time: 0,
    reason: 'replay',
  };
  return { activation, served, refusal: '' };
}

function isNoActivation({ value }: LogRecord): boolean {
  return value === null || schemaOf(value) !== 'Activation';
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
