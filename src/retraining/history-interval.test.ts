import { expect, it } from 'vitest';
import { HOUR } from '../../test/readings.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { forecastingTopology } from '../pipelines/forecasting.ts';
import { pipelineConfig } from '../pipelines/pipeline-config.ts';
import { topicSpecs } from '../pipelines/topics.ts';
import { Engine } from '../topology/engine.ts';
import { importHistory } from './history-import.ts';
import { checkHistoryInterval } from './history-interval.ts';

const shape = { lookback: 24, horizon: 6, season: 12 };
const models = { load: () => Promise.reject(new Error('no model')) };

it('refuses buckets of another length than those of the history, and names the way out', async () => {
  const { topics, interval, segment } = pipelineConfig({ shape });
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 2 }));
  await checkHistoryInterval(log, topics.history, 60_000);
  const buckets = Array.from({ length: 30 }, (_, i) => ({ device: 'a', quantity: 'q', time: i * HOUR, value: i }));
  await importHistory({ log, topics, now: () => 0, interval, segment }, buckets);
  await checkHistoryInterval(log, topics.history, HOUR);
  await expect(checkHistoryInterval(log, topics.history, 60_000)).rejects.toMatchObject({
    code: 'HISTORY_INTERVAL',
    message: expect.stringMatching(
      /interval is 60 s.*history are 3600 s.*topics\.names: {history: history-60s}.*reset/,
    ),
  });
  await log.close();
});

it('does not go on from the state of another interval', async () => {
  const log = new MemoryLog();
  const start = async (interval: number): Promise<void> => {
    const config = pipelineConfig({ shape, interval });
    await log.ensureTopics(topicSpecs(config.topics, { partitions: 1 }));
    const engine = new Engine({ log, topology: forecastingTopology(config, models), group: 'g' });
    await engine.start();
    const tick = { topic: config.topics.readings, partition: 0, timestamp: 1, key: Buffer.from('a'), value: null };
    await log.append([tick]);
    while (engine.status().every(({ commits }) => commits === 0)) await new Promise((done) => setTimeout(done, 5));
    await engine.stop();
  };
  await start(HOUR);
  await expect(start(60_000)).rejects.toMatchObject({ code: 'STATE_ORPHANED', message: /history\/segments/ });
  await start(HOUR);
  await log.close();
});
