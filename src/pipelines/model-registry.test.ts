import { expect, it } from 'vitest';
import { activation, HOUR } from '../../test/readings.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { buildArtefact } from '../models/artefact.ts';
import { initSegmentLstm, segmentLstmSizes } from '../models/segment-lstm/parameters.ts';
import { activationPreparer } from './activation.ts';
import { encodeModel } from './model-codec.ts';
import { ModelRegistry } from './model-registry.ts';
import { topicNames, topicSpecs } from './topics.ts';

const shape = { lookback: 12, horizon: 4, season: 4 };
const topics = topicNames();

/** A segment LSTM; with `scale` so large that its sums overflow, so that nothing can be compared. */
function artefact(scale: number) {
  const weights = initSegmentLstm(segmentLstmSizes(shape, { width: 4 }), 1);
  return buildArtefact({
    family: 'segment-lstm',
    name: 'default',
    shape,
    interval: HOUR,
    architecture: { width: 4 },
    weights: weights.map((tensor) => ({ ...tensor, data: tensor.data.map((value) => value * scale) })),
    scaler: { kind: 'rolling', length: 12, series: new Map() },
    calibration: { level: 0.9, quantiles: [1, 1, 1, 1] },
    training: { ranges: [], trainEnd: 0, validationEnd: 0, seed: 1, trainer: 'test', settings: {}, windows: 0 },
    metrics: {},
    parent: '',
    createdAt: 0,
    note: '',
    licence: '',
  });
}

it('compares every model with TensorFlow.js when it is loaded, and refuses what does not agree', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 1 }));
  const [good, bad] = [encodeModel(artefact(1)), encodeModel(artefact(1e38))];
  await log.append(
    [good, bad].map(({ id, bytes }) => {
      return { topic: topics.models, partition: 0, timestamp: 0, key: Buffer.from(id), value: bytes };
    }),
  );
  const registry = new ModelRegistry({ log, topic: topics.models });
  // A stop does not wait for the comparison, and does not end it for others.
  const stop = new AbortController();
  const order: string[] = [];
  const stopped = registry.load(good.id, stop.signal).catch((error: Error) => order.push(error.name));
  const others = registry.load(good.id).then(({ model }) => order.push(model.id));
  await new Promise(setImmediate);
  stop.abort();
  await Promise.all([stopped, others]);
  expect(order).toEqual(['AbortError', good.id]);
  expect((await registry.load(good.id)).model.id).toBe(good.id);
  await expect(registry.load(bad.id)).rejects.toMatchObject({ code: 'MODEL_DISAGREES' });
  // The task goes on with the model that it has; a replay refuses it too.
  const prepare = activationPreparer(['default'], registry);
  const prepared = await prepare(activation(bad.id), new AbortController().signal);
  expect(prepared).toMatchObject({ served: undefined, refusal: expect.stringContaining('differs from TensorFlow.js') });
});
