import { FleetcastError } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import { ARTEFACT_PATIENCE_MS, ModelRegistry } from '../pipelines/model-registry.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import type { TopicNames } from '../pipelines/topics.ts';
import { type ModelLine, readModelLine, readModelLines } from '../retraining/model-line.ts';
import type { WindowSettings } from '../retraining/training-job.ts';
import type { LoadedConfiguration } from '../service/configuration/load.ts';
import { logPlace, openExistingLog, openLog } from '../service/open-log.ts';
import { ensureOwnTopics } from '../service/own-topics.ts';
import { namesOf, pipelineOf } from '../service/pipeline-settings.ts';
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
 * @param looks refuses a log without the topic of readings, see {@link withLogAsItIs}
 */
export async function withLog<T>(
  option: ConfigOption,
  work: (opened: Opened) => Promise<T>,
  { create = false, looks = false } = {},
): Promise<T> {
  const configuration = configured(option);
  const log = create ? await openLog(configuration) : await openExistingLog(configuration);
  try {
    const topics = namesOf(configuration);
    if (looks && (await log.topic(topics.readings)) === undefined) {
      const where = `topic ${topics.readings} does not exist on ${logPlace(configuration)}`;
      throw new FleetcastError(
        'LOG_TOPIC_UNKNOWN',
        `${where}: is topics.prefix "${configuration.topics.prefix}" right?`,
        {
          details: { topic: topics.readings },
        },
      );
    }
    await ensureOwnTopics(log, configuration, { retention: 'keep' });
    const pipeline = pipelineOf(configuration);
    const { shape, interval, scaleLength, minMeasured, level, statics, correctFor } = pipeline;
    return await work({
      configuration,
      log,
      topics,
      pipeline,
      windows: { shape, interval, scaleLength, minMeasured, level, statics, correctFor },
      registry: new ModelRegistry({ log, topic: topics.models, patienceMs: ARTEFACT_PATIENCE_MS }),
      line: () => readModelLine(log, topics.modelEvents, configuration.learner.name),
      lines: () => readModelLines(log, topics.modelEvents),
      now: Date.now,
    });
  } finally {
    await log.close();
  }
}

/**
 * {@link withLog} for commands that only look: a mistyped prefix must not make a set of topics. Where the readings are
 * there, what a later version has added is still created.
 * @throws LOG_TOPIC_UNKNOWN
 */
export function withLogAsItIs<T>(option: ConfigOption, work: (opened: Opened) => Promise<T>): Promise<T> {
  return withLog(option, work, { looks: true });
}
