import { FleetcastError } from '../errors.ts';
import type { TopicSpec } from '../log/event-log.ts';
import { schemasTopicSpec } from '../log/formats/schemas-topic.ts';
import { CALENDAR } from '../models/inputs/calendar.ts';
import { writeInputs } from '../models/inputs/spec.ts';
import { sequentialArchitecture } from '../models/sequential/model.ts';
import type { TrainSettings } from '../models/trainer.ts';
import { isLong } from '../models/training/settings.ts';
import type { TrainerName } from '../models/training/trainers.ts';
import type { WindowShape } from '../models/window-shape.ts';
import { QUALITY_DEFAULTS } from '../operators/quality.ts';
import { type PipelineConfig, pipelineConfig } from '../pipelines/pipeline-config.ts';
import { type TopicNames, topicNames, topicSpecs } from '../pipelines/topics.ts';
import { historyBound } from '../retraining/history-bound.ts';
import { trialDefaults } from '../retraining/trial.ts';
import { manifestSpec } from '../topology/state-manifest.ts';
import { layersOf } from './configuration/layers-file.ts';
import type { Configuration } from './configuration/schema.ts';

/** The pipeline that a configuration asks for. @throws CONFIG_INVALID for values that cannot go together */
export function pipelineOf(configuration: Configuration): PipelineConfig {
  const { pipeline, learner } = configuration;
  const { lookback, horizon, season, interval, grace, idle, aggregate, late, level, levels, intervals } = pipeline;
  return pipelineConfig({
    topics: namesOf(configuration),
    interval,
    grace,
    idle,
    aggregate,
    late,
    level,
    levels,
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
      lettersPerHour: configuration.topics.deadLettersPerHour,
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
  const { name, firstAfter, every, newBuckets, newSeries, pause, budget, deadline } = configuration.learner;
  const { drift, trial } = configuration.learner;
  const { minMeasured, scaleLength, interval, shape, level, statics, correctFor } = pipelineOf(configuration);
  const windows = { minMeasured, scaleLength, interval, shape, level, statics, correctFor };
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
    request: requestOf(configuration),
  };
}

function requestOf(configuration: Configuration) {
  const { learner, pipeline } = configuration;
  const wanted = familyOf(learner, learner.layers, pipeline);
  const bound = historyBound(learner.mostBuckets, pipelineOf(configuration));
  return { ...wanted, bound, settings: { ...wanted.settings, inputs: inputsText(configuration) } };
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

interface FamilyChoice {
  readonly trainer: TrainerName;
  readonly family: TrainSettings['family'];
  readonly width?: number | undefined;
  readonly recurrentLayers: number;
  readonly decoding: TrainSettings['decoding'];
  readonly maxSteps: number;
  readonly seed: number;
}

/**
 * Family, trainer and settings that go together: layers of one's own are trained with TensorFlow.js.
 * @param layers of the family sequential: a list, or a whole model
 * @param windows that are forecast from
 * @throws USAGE for a choice without its layers, MODEL_INVALID
 */
export function familyOf(choice: FamilyChoice, layers: unknown, windows: WindowShape) {
  const { trainer, recurrentLayers, decoding, maxSteps, seed } = choice;
  const width = widthOf(choice, windows);
  const common = { maxSteps, seed };
  if (trainer === 'ridge') return { trainer, family: 'ridge' as const, settings: { width, ...common } };
  const { family } = choice;
  if (family === 'sequential') {
    if (layers === undefined) throw new FleetcastError('USAGE', 'the family sequential needs layers');
    const spec = layersOf(layers, { name: 'forecast', inputShape: [null, 1] });
    const { sequential } = sequentialArchitecture(spec);
    return { trainer: 'tensorflow' as const, family, settings: { ...common, sequential: sequential! } };
  }
  const shape = family === 'lstm' ? { width, layers: recurrentLayers, decoding } : { width };
  return { trainer, family, settings: { ...shape, ...common } };
}

/** The width asked for, or what suits the horizon. */
export function widthOf({ width, family }: Pick<FamilyChoice, 'width' | 'family'>, windows: WindowShape): number {
  return width ?? (family === 'segment-lstm' && isLong(windows) ? 128 : 32);
}

export function namesOf(configuration: Configuration): TopicNames {
  return topicNames(configuration.topics.prefix, configuration.topics.names);
}

/** What dead letters may take on the log: a bad device must not fill what all need. Undefined: no limit. */
function deadLetterBytesOf({ topics, log }: Configuration): number | undefined {
  if (topics.deadLetterSize !== undefined) return topics.deadLetterSize;
  return log.kafka === undefined ? Math.floor((log.embedded?.maxSize ?? 64 * 1024 ** 3) / 16) : undefined;
}

export function specsOf(configuration: Configuration): TopicSpec[] {
  const { partitions, readingsRetention, outputRetention } = configuration.topics;
  const deadLetterBytes = deadLetterBytesOf(configuration);
  const names = namesOf(configuration);
  const specs = [
    ...topicSpecs(names, {
      partitions,
      events: configuration.events !== undefined,
      readingsRetentionMs: readingsRetention,
      outputRetentionMs: outputRetention,
      ...(deadLetterBytes === undefined ? {} : { deadLetterBytes }),
    }),
    manifestSpec(names.state),
  ];
  const { kafka } = configuration.log;
  return kafka === undefined || kafka.registry !== undefined ? specs : [...specs, schemasTopicSpec(names.schemas)];
}
