import { expect, it } from 'vitest';
import { dataFile } from '../../test/data-folder.ts';
import { nextEventSamples, occupancyEvents } from '../../test/models/occupancy-events.ts';
import { nextEvents } from '../../test/topologies/next-events.ts';
import { parseSequential } from '../models/sequential/configuration.ts';
import { SequentialNetwork } from '../models/sequential/network.ts';
import { Sequential } from '../models/tensorflow/sequential.ts';
import type { NextEvent } from './next-event.ts';

const training = dataFile('occupancy/datatraining.txt');
const later = dataFile('occupancy/datatest2.txt');
const STEPS = 12;

it.skipIf(training === undefined || later === undefined)(
  'learns the next event of a room with the model of the Keras guide, and forecasts it on the stream better than naive',
  async () => {
    const spec = parseSequential({
      layers: [
        { type: 'Embedding', input_dim: 1000, output_dim: 64 },
        { type: 'LSTM', units: 128 },
        { type: 'Dense', units: 10 },
      ],
    });
    const samples = nextEventSamples(occupancyEvents(training!), STEPS);
    const unseen = nextEventSamples(occupancyEvents(later!), STEPS);
    const model = await Sequential.create(spec, { seed: 3 });
    model.compile({
      learningRate: 0.003,
      loss: 'sparse_categorical_crossentropy_from_logits',
      metrics: ['accuracy'],
      clipNorm: 1,
    });
    await model.fit(samples, { epochs: 3, validationSplit: 0.1 });
    const { accuracy } = model.evaluate(unseen);
    const served = serveEvents(new SequentialNetwork(spec, model.weights()), unseen.x, unseen.y);
    const share = (predict: (row: number) => number) => {
      let right = 0;
      for (let i = 0; i < unseen.count; i++) if (predict(i) === unseen.y[i]) right += 1;
      return right / unseen.count;
    };
    const counts = new Array<number>(10).fill(0);
    for (const code of samples.y) counts[code] = counts[code]! + 1;
    const frequent = counts.indexOf(Math.max(...counts));
    const follower = followers(samples.x, samples.y);
    const baselines = [
      share(() => frequent),
      share((i) => unseen.x[(i + 1) * STEPS - 1]!),
      share((i) => follower[unseen.x[(i + 1) * STEPS - 1]!]!),
    ];
    expect(share((i) => served[i]!)).toBeCloseTo(accuracy!, 2);
    expect(accuracy).toBeGreaterThan(Math.max(...baselines));
    model.dispose();
  },
  120_000,
);

/** Plays the events into a topology. @returns the code that was forecast for each of `y` */
function serveEvents(network: SequentialNetwork, x: Float32Array, y: Float32Array): number[] {
  const driver = nextEvents({ network, steps: STEPS, codes: 10, logits: true });
  [...x.subarray(0, STEPS), ...y].forEach((code, i) => {
    driver.pipe('events', 'room', { code }, i + 1);
  });
  return driver.values<NextEvent>('next').map(({ code }) => code);
}

/** For each event the one that follows it most often. */
function followers(x: Float32Array, y: Float32Array): number[] {
  const counts = Array.from({ length: 10 }, () => new Float32Array(10));
  for (let i = 0; i < y.length; i++) {
    const row = counts[x[(i + 1) * STEPS - 1]!]!;
    row[y[i]!] = row[y[i]!]! + 1;
  }
  return counts.map(indexOfMax);
}

function indexOfMax(values: Float32Array): number {
  return values.indexOf(Math.max(...values));
}
