import { buildArtefact } from '../models/artefact.ts';
import { loadVerifiedModel } from '../models/load.ts';
import type { ModelArtefact } from '../models/model.ts';
import { parseSequential } from '../models/sequential/configuration.ts';
import { givesProbabilities, type SequentialSpec } from '../models/sequential/layers.ts';
import { sequentialArchitecture } from '../models/sequential/model.ts';
import { Sequential } from '../models/tensorflow/sequential.ts';
import { ANY_SERIES } from '../operators/forecast.ts';
import { encodeModel } from '../pipelines/model-codec.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import { type EventSplit, naiveAccuracies, readEvents, splitEvents } from './event-series.ts';
import { type Desk, publish } from './publisher.ts';

export interface EventTrainingOptions {
  readonly desk: Desk;
  readonly config: PipelineConfig;
  /** Default: {@link guideModel}. */
  readonly spec?: SequentialSpec;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  /** The summary before the training, and Keras's line after each epoch. */
  readonly onLine?: (line: string) => void;
}

export interface TrainedEvents {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly artefact: ModelArtefact;
  /** Accuracy on the test part: the model, then the naive rules. */
  readonly accuracies: Readonly<Record<string, number>>;
  readonly windows: { readonly train: number; readonly validation: number; readonly test: number };
}

const EMBEDDED_CODES = 1000;

/** The model of the Keras guide: Embedding(1000, 64), LSTM(128), Dense(codes). */
export function guideModel(codes: number): SequentialSpec {
  return parseSequential({
    name: 'next-event',
    layers: [
      { type: 'Embedding', input_dim: Math.max(EMBEDDED_CODES, codes), output_dim: 64 },
      { type: 'LSTM', units: 128 },
      { type: 'Dense', units: codes },
    ],
  });
}

/**
 * Trains a Sequential model to forecast the next event of a device from its last ones, on the events that are on the log,
 * and judges it on the last of them. Writes nothing.
 * @throws TRAINING_TOO_LITTLE_DATA, TRAINING_DIVERGED, TRAINING_CANCELLED, MODEL_INVALID, MODEL_DISAGREES, USAGE
 */
export async function trainEvents(options: EventTrainingOptions): Promise<TrainedEvents> {
  const { desk, config, epochs, batchSize, learningRate, seed, signal, onLine } = options;
  const { series, ranges } = await readEvents(desk, config, signal);
  const { steps, codes, model: name } = config.events!;
  const split = splitEvents(series, steps);
  const spec = options.spec ?? guideModel(codes);
  const model = await Sequential.create(spec, { seed });
  try {
    onLine?.(model.summary());
    const crossEntropy = 'sparse_categorical_crossentropy';
    model.compile({
      learningRate,
      loss: givesProbabilities(spec) ? crossEntropy : `${crossEntropy}_from_logits`,
      metrics: ['accuracy'],
      clipNorm: 1,
    });
    const { train, validation, test } = split;
    await model.fit(train, {
      ...{ epochs, batchSize, seed, validationData: validation },
      ...(signal === undefined ? {} : { signal }),
      onEpoch: (epoch, _logs, line) => {
        onLine?.(`Epoch ${epoch}/${epochs}`);
        onLine?.(line);
      },
    });
    const { accuracy = Number.NaN, loss = Number.NaN } = model.evaluate(test);
    const accuracies = { model: accuracy, ...naiveAccuracies(train, test, codes) };
    const windows = { train: train.count, validation: validation.count, test: test.count };
    const artefact = buildArtefact({
      ...artefactParts(spec, steps, codes),
      name,
      weights: model.weights(),
      training: {
        ranges,
        trainEnd: split.trainEnd,
        validationEnd: split.validationEnd,
        seed,
        trainer: model.backend,
        settings: { epochs, batchSize, learningRate },
        windows: train.count,
      },
      metrics: metricsOf(accuracies, loss, split),
      createdAt: desk.now(),
      note: `next event of ${config.events!.quantity}`,
    });
    const { id, bytes } = encodeModel(artefact);
    await loadVerifiedModel(artefact, id);
    return { id, bytes, artefact, accuracies, windows };
  } finally {
    model.dispose();
  }
}

/** Puts the artefact on the topic `models`. Nothing serves it yet: see `activate`. */
export async function publishEvents(desk: Desk, { id, bytes }: TrainedEvents): Promise<void> {
  const record = { topic: desk.topics.models, partition: 0, timestamp: desk.now(), key: Buffer.from(id), value: bytes };
  await publish(desk, [record]);
}

/** What an artefact of a model for events has in common with every other: codes are taken as they are. */
function artefactParts(spec: SequentialSpec, steps: number, codes: number) {
  return {
    family: 'sequential',
    shape: { lookback: steps, horizon: codes, season: 1 },
    // Events come when they come: there is no grid.
    interval: 1,
    architecture: sequentialArchitecture(spec),
    scaler: { kind: 'fixed', length: 0, series: new Map([[ANY_SERIES, { mean: 0, deviation: 1 }]]) },
    calibration: { level: 0.9, quantiles: new Array<number>(codes).fill(0) },
    parent: '',
    licence: '',
  } as const;
}

function metricsOf(accuracies: Readonly<Record<string, number>>, loss: number, { test }: EventSplit) {
  const named = Object.entries(accuracies).map(([name, accuracy]) => [
    name === 'model' ? 'test.accuracy' : `test.accuracy.${name}`,
    accuracy,
  ]);
  return test.count === 0 ? {} : { ...Object.fromEntries(named), 'test.loss': loss };
}
