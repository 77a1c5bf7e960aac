import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { segmentArtefact } from '../../../test/models/segment-artefact.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { encodeModel } from '../../pipelines/model-codec.ts';
import { ModelRegistry } from '../../pipelines/model-registry.ts';
import { topicNames, topicSpecs } from '../../pipelines/topics.ts';
import { openVerificationDesk, verificationClient } from './verification-desk.ts';

it('has a model compared once for all who serve it, and tells each why one is refused', async () => {
  const { models } = topicNames();
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topicNames(), { partitions: 1 }));
  const shape = { lookback: 12, horizon: 4, season: 4 };
  const [good, bad] = [encodeModel(segmentArtefact(shape)), encodeModel(segmentArtefact(shape, 1e38))];
  await log.append(
    [good, bad].map(({ id, bytes }) => {
      return { topic: models, partition: 0, timestamp: 0, key: Buffer.from(id), value: bytes };
    }),
  );
  const compared: string[] = [];
  const name = randomUUID();
  const close = openVerificationDesk(
    name,
    new ModelRegistry({
      log,
      topic: models,
      verify: async (id) => {
        compared.push(id);
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (id === bad.id) throw new Error('differs');
      },
    }),
  );
  const clients = [verificationClient(name), verificationClient(name)];
  const served = clients.map(({ verify }) => new ModelRegistry({ log, topic: models, verify }));
  const loaded = await Promise.all(served.map((registry) => registry.load(good.id)));
  expect(loaded.map(({ model }) => model.id)).toEqual([good.id, good.id]);
  expect(compared).toEqual([good.id]);
  for (const registry of served) {
    await expect(registry.load(bad.id)).rejects.toMatchObject({ code: 'TRAINER_UNAVAILABLE', message: 'differs' });
  }
  for (const client of clients) client.close();
  close();
});
