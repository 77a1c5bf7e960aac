import { expect, it } from 'vitest';
import { HOUR } from '../../test/readings.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { pipelineConfig } from '../pipelines/pipeline-config.ts';
import { topicSpecs } from '../pipelines/topics.ts';
import { importHistory } from './history-import.ts';
import { HistoryWatch } from './history-watch.ts';

it('follows the history: how long the series are, how many, and where the newest ends', async () => {
  const { topics, interval, segment } = pipelineConfig({ shape: { lookback: 24, horizon: 6, season: 12 } });
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 2 }));
  const add = (device: string, from: number, to: number) =>
    importHistory(
      { log, topics, now: () => 0, interval, segment },
      Array.from({ length: to - from }, (_, i) => ({ device, quantity: 'q', time: (from + i) * HOUR, value: i })),
    );
  const watch = new HistoryWatch(log, topics.history);
  await watch.advance();
  expect(watch.extent(1)).toEqual({ buckets: 0, total: 0, series: 0, end: Number.NEGATIVE_INFINITY });

  await add('long', 3, 5 * segment);
  await add('short', segment + 1, segment + 11);
  await watch.advance();
  const length = 5 * segment - 3;
  expect(watch.extent(10)).toEqual({ buckets: length, total: length + 10, series: 2, end: 5 * segment * HOUR });
  expect(watch.extent(11).series).toBe(1);

  // A series of another device that ends later moves the end, and only what is new is read.
  await add('late', 7 * segment, 7 * segment + 2);
  await watch.advance();
  expect(watch.extent(1)).toEqual({
    buckets: length,
    total: length + 12,
    series: 3,
    end: (7 * segment + 2) * HOUR,
  });
  expect(watch.spans.size).toBe(3);
  await log.close();
});
