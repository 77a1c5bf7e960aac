import type { EventLog } from '../log/event-log.ts';
import { ModelRegistry } from '../pipelines/model-registry.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import type { TopicNames } from '../pipelines/topics.ts';
import { type ModelLine, readModelLine, readModelLines } from '../retraining/model-line.ts';
import type { WindowSettings } from '../retraining/training-job.ts';
import type { LoadedConfiguration } from '../service/configuration/load.ts';
import { openExistingLog, openLog } from '../service/open-log.ts';
import { namesOf, pipelineOf, specsOf } from '../service/pipeline-settings.ts';
import { type ConfigOption, configured } from './configured.ts';

/** The log of a configuration and what commands about models need of it. */
export interface Opened {
  readonly configuration: LoadedConfiguration;
  readonly log: EventLog;
  readonly topics: TopicNames;
  readonly pipeline: PipelineConfig;
  readonly windows: WindowSettings;
  readonly registry: ModelRegistry;
  /** The events of the configured model line, as of now. */
  readonly line: () => Promise<ModelLine>;
  /** Those of every model line. */
  readonly lines: () => Promise<ReadonlyMap<string, ModelLine>>;
  readonly now: () => number;
}

/**
 * Opens the configured log for `work`, and closes it whatever comes. Topics that are missing are created.
 * @param create also a data folder that is missing: for what begins a log
 */
export async function withLog<T>(
  option: ConfigOption,
  work: (opened: Opened) => Promise<T>,
  { create = false } = {},
): Promise<T> {
  const configuration = configured(option);
  const log = create ? await openLog(configuration) : await openExistingLog(configuration);
  try {
    await log.ensureTopics(specsOf(configuration));
    const topics = namesOf(configuration);
    const pipeline = pipelineOf(configuration);
    const { shape, interval, scaleLength, minMeasured, level, statics, correctFor } = pipeline;
    return await work({
      configuration,
      log,
      topics,
      pipeline,
      windows: { shape, interval, scaleLength, minMeasured, level, statics, correctFor },
      registry: new ModelRegistry({ log, topic: topics.models }),
      line: () => readModelLine(log, topics.modelEvents, configuration.learner.name),
      lines: () => readModelLines(log, topics.modelEvents),
      now: Date.now,
    });
  } finally {
    await log.close();
  }
}
