import type { ModelSource } from '../../pipelines/activation.ts';
import { forecastingTopology } from '../../pipelines/forecasting.ts';
import type { EngineOptions } from '../../topology/engine.ts';
import type { Configuration } from '../configuration/schema.ts';
import { namesOf, pipelineOf } from '../pipeline-settings.ts';

/** What the engine of the forecasting pipeline is given, in the main thread or in another. */
export function engineOptionsOf(configuration: Configuration, models: ModelSource): Omit<EngineOptions, 'log'> {
  const topics = namesOf(configuration);
  return {
    topology: forecastingTopology(pipelineOf(configuration), models),
    group: groupOf(configuration),
    stateTopic: topics.state,
    deadLetterTopic: topics.deadLetters,
    ...(configuration.pipeline.standby ? { standby: 'all' as const } : {}),
  };
}

/** Consumer group of the forecasting pipeline of this configuration. */
export function groupOf(configuration: Configuration): string {
  return `${configuration.topics.prefix}forecasting`;
}
