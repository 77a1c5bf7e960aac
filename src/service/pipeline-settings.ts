import type { TopicSpec } from '../log/event-log.ts';
import { schemasTopicSpec } from '../log/formats/schemas-topic.ts';
import { CALENDAR } from '../models/inputs/calendar.ts';
import { writeInputs } from '../models/inputs/spec.ts';
import { QUALITY_DEFAULTS } from '../operators/quality.ts';
import { type PipelineConfig, pipelineConfig } from '../pipelines/pipeline-config.ts';
import { type TopicNames, topicNames, topicSpecs } from '../pipelines/topics.ts';
import { trialDefaults } from '../retraining/trial.ts';
import { manifestSpec } from '../topology/state-manifest.ts';
import type { Configuration } from './configuration/schema.ts';

/** The pipeline that a configuration asks for. @throws CONFIG_INVALID for values that cannot go together */
export function pipelineOf(configuration: Configuration): PipelineConfig {
  const { pipeline, learner } = configuration;
  const { lookback, horizon, season, interval, grace, idle, aggregate, late, level, intervals } = pipeline;
  return pipelineConfig({
    topics: namesOf(configuration),
    interval,
    grace,
    idle,
    aggregate,
    late,
    level,
    intervals,
    shape: { lookback, horizon, season },
    model: learner.name,
    events: configuration.events && {
      quantity: configuration.events.quantity,
      steps: configuration.events.steps,
      codes: configuration.events.codes,
      model: configuration.events.name,
    },
    statics: learner.inputs.statics,
    quality: {
      ...QUALITY_DEFAULTS,
      futureMs: pipeline.future,
      oldestTime: Date.parse(`${pipeline.oldest}T00:00:00Z`),
      maxQuantities: pipeline.quantitiesPerDevice,
      ranges: Object.fromEntries(
        Object.entries(pipeline.ranges).map(([quantity, [min, max]]) => [quantity, { min, max }]),
      ),
    },
  });
}

/** What the learner of a configuration is asked for. */
export function learnerOf(configuration: Configuration) {
  const { name, firstAfter, every, newBuckets, newSeries, pause, budget, deadline, trainer, width, maxSteps, seed } =
    configuration.learner;
  const { drift, trial } = configuration.learner;
  const { minMeasured, scaleLength, interval, shape, level, statics } = pipelineOf(configuration);
  const windows = { minMeasured, scaleLength, interval, shape, level, statics };
  const after = drift?.after;
  const given = Object.fromEntries(Object.entries(trial ?? {}).filter(([, value]) => value !== undefined));
  return {
    name,
    windows,
    triggers: {
      firstAfter,
      every,
      newBuckets,
      newSeries,
      pause,
      budgetMs: budget,
      ...(after === undefined ? {} : { driftAfter: after }),
    },
    ...(drift === undefined ? {} : { drift }),
    trial: { ...trialDefaults(windows), ...given },
    deadlineMs: deadline,
    request: {
      trainer,
      family: trainer === 'ridge' ? ('ridge' as const) : ('segment-lstm' as const),
      settings: { width, maxSteps, seed, inputs: inputsText(configuration) },
    },
  };
}

/** The inputs that models are trained with, as text; see `writeInputs`. */
export function inputsText({ learner }: Configuration): string {
  const { calendar, quantities, targets, statics } = learner.inputs;
  const names = new Set(Object.values(statics).flatMap((values) => Object.keys(values)));
  return writeInputs({
    calendar: CALENDAR.filter((one) => calendar.includes(one)),
    quantities: [...new Set(quantities)].sort(),
    targets: [...new Set(targets)].sort(),
    // Their scale comes from the devices of the training.
    statics: [...names].sort().map((name) => ({ name, mean: 0, deviation: 0 })),
  });
}

export function namesOf(configuration: Configuration): TopicNames {
  return topicNames(configuration.topics.prefix, configuration.topics.names);
}

export function specsOf(configuration: Configuration): TopicSpec[] {
  const { partitions, readingsRetention, outputRetention } = configuration.topics;
  const names = namesOf(configuration);
  const specs = [
    ...topicSpecs(names, {
      partitions,
      events: configuration.events !== undefined,
      readingsRetentionMs: readingsRetention,
      outputRetentionMs: outputRetention,
    }),
    manifestSpec(names.state),
  ];
  const { kafka } = configuration.log;
  return kafka === undefined || kafka.registry !== undefined ? specs : [...specs, schemasTopicSpec(names.schemas)];
}
