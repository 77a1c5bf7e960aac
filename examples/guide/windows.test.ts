import { expect, it } from 'vitest';
import {
  hopping,
  numberCodec,
  type SourceCodec,
  session,
  sliding,
  TopologyBuilder,
  TopologyTestDriver,
  tumbling,
} from '../../src/index.ts';

const codec: SourceCodec<number> = { decode: () => ({ kind: 'skip', reason: 'unused' }) };
const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});

it('windows of four kinds, on close and on update, with corrections and what is late or from the future', () => {
  // region windows
  const builder = new TopologyBuilder('windows');
  const steps = builder.source('steps', { topic: 'steps', codec }).flatMap('twice', (value) => [value, value]);

  // Every ten seconds the count of the last minute.
  steps.window(hopping(60_000, 10_000)).count('per-minute').sink('counts', { topic: 'counts', encode });
  // The longest step of each walk; a pause of a minute ends it.
  steps
    .window(session(60_000))
    .reduce('longest', (a, b) => Math.max(a, b), { codec: numberCodec, ordered: true })
    .sink('walks', { topic: 'walks', encode });
  // At each step the number of steps in the ten seconds before it.
  steps.window(sliding(10_000)).count('pace', { emit: 'update' }).sink('paces', { topic: 'paces', encode });
  // Closed minutes take late steps for an hour more and are given again, with a higher revision.
  const minutes = steps
    .window(tumbling(60_000, { correctMs: 3_600_000, futureMs: 5_000 }))
    .reduce('sum', (a, b) => a + b, { codec: numberCodec });
  minutes.sink('sums', { topic: 'sums', encode });
  // Too late even for that: into a topic. From the future: to the dead letters.
  minutes.output<number>('late').sink('late', { topic: 'late', encode });
  // Here a late step is only counted.
  steps
    .window(tumbling(1_000, { late: 'drop' }))
    .count('per-second')
    .sink('seconds', { topic: 'seconds', encode });
  // endregion

  const driver = new TopologyTestDriver(builder.build());
  const at = (time: number, value: number) => driver.pipe('steps', 'walker', value, time, 200_000);
  at(1_000, 1);
  at(5_000, 2);
  at(130_000, 3);
  expect(driver.values('sums')).toEqual([{ start: 0, end: 60_000, revision: 1, value: 6 }]);
  at(2_000, 4);
  expect(driver.values('sums').at(-1)).toEqual({ start: 0, end: 60_000, revision: 3, value: 14 });
  expect(driver.values('walks')).toEqual([{ start: 1_000, end: 65_000, revision: 1, value: 2 }]);
  expect(driver.counts.get('longest', 'late')).toBe(2);
  expect(driver.values<{ value: number }>('paces').length).toBeGreaterThan(5);
  at(300_000, 1);
  expect(driver.counts.get('sum', 'future')).toBe(2);
  // Of the windows whose output nobody reads: the steps went nowhere else.
  const letters = driver.deadLetters().map(({ reason, message }) => `${reason} ${message.split(',')[0]}`);
  expect(letters).toEqual(expect.arrayContaining(['late longest', 'late pace', 'future sum']));
  expect(letters).not.toContain('late sum');
  expect(driver.counts.get('per-second', 'late')).toBe(2);
  expect(driver.counts.get('sum', 'late')).toBe(0);
  driver.tick(1_000_000);
  expect(driver.values<{ start: number; value: number }>('counts').find(({ start }) => start === 0)?.value).toBe(4);
});
