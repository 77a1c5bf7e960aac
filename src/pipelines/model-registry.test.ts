import { expect, it } from 'vitest';
import { segmentArtefact } from '../../test/models/segment-artefact.ts';
import { activation, ridgeArtefact, testModel } from '../../test/readings.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { activationPreparer } from './activation.ts';
import { encodeModel } from './model-codec.ts';
import { ModelRegistry } from './model-registry.ts';
import { topicNames, topicSpecs } from './topics.ts';

const shape = { lookback: 12, horizon: 4, season: 4 };
const topics = topicNames();

it('compares every model with TensorFlow.js when it is loaded, and refuses what does not agree', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 1 }));
  const [good, bad] = [encodeModel(segmentArtefact(shape)), encodeModel(segmentArtefact(shape, 1e38))];
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

it('finds what is on the log without any patience, and waits for nothing else', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 1 }));
  const { encoded } = testModel(ridgeArtefact(8, shape));
  await log.append([
    { topic: topics.models, partition: 0, timestamp: 0, key: Buffer.from(encoded.id), value: encoded.bytes },
  ]);
  const registry = new ModelRegistry({ log, topic: topics.models, patienceMs: 0 });
  expect((await registry.load(encoded.id)).model.id).toBe(encoded.id);
  await expect(registry.load('f'.repeat(64))).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
});
