import { expect, it } from 'vitest';
import { type SourceCodec, TopologyBuilder, TopologyTestDriver, tumbling } from '../../src/index.ts';

// region codec
interface Reading {
  readonly temperature: number;
}

const codec: SourceCodec<Reading> = {
  decode: ({ value, timestamp }) => {
    const item = JSON.parse(Buffer.from(value!).toString('utf8'));
    if (item.tick !== undefined) return { kind: 'tick', time: item.tick };
    return { kind: 'record', value: { temperature: item.temperature }, time: item.time ?? timestamp };
  },
};
// endregion

// region topology
const builder = new TopologyBuilder('averages');
const readings = builder.source('readings', { topic: 'readings', codec });
const averages = readings
  .filter('plausible', ({ temperature }) => temperature > -80 && temperature < 80)
  .window(tumbling(60_000, { graceMs: 10_000, idleMs: 120_000 }))
  .aggregate('average', {
    initial: () => ({ sum: 0, count: 0 }),
    add: ({ sum, count }, { temperature }) => ({ sum: sum + temperature, count: count + 1 }),
  });
averages.sink('averages', {
  topic: 'averages',
  encode: ({ key, value: { start, value } }) => ({
    key,
    value: Buffer.from(JSON.stringify({ start, mean: value.sum / value.count })),
  }),
});
averages.output<Reading>('late').sink('late', {
  topic: 'late-readings',
  encode: ({ key, value }) => ({ key, value: Buffer.from(JSON.stringify(value)) }),
});
const topology = builder.build();
// endregion

it('averages by the minute', () => {
  // region driver
  const driver = new TopologyTestDriver(topology);
  const noon = Date.UTC(2026, 0, 1, 12);
  driver.pipe('readings', 'kitchen', { temperature: 20 }, noon);
  driver.pipe('readings', 'kitchen', { temperature: 22 }, noon + 30_000);
  driver.pipe('readings', 'kitchen', { temperature: 500 }, noon + 31_000);
  driver.tick(noon + 180_000);
  expect(driver.outputs('averages').map(({ value }) => String(value))).toEqual([`{"start":${noon},"mean":21}`]);
  // endregion
});
