import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activateEvents, nextEvents, servedEvents } from '../../test/topologies/next-events.ts';
import type { NextEvent } from '../events/records.ts';
import { softmax } from '../models/sequential/activations.ts';
import { parseSequential } from '../models/sequential/configuration.ts';
import { initialWeights } from '../models/sequential/initial.ts';
import { SequentialNetwork } from '../models/sequential/network.ts';
import { planSequential } from '../models/sequential/plan.ts';

const config = { name: 'next-event', steps: 3, codes: 6 };
const layers = [
  { type: 'Embedding', input_dim: 6, output_dim: 4 },
  { type: 'LSTM', units: 5 },
  { type: 'Dense', units: 6 },
];
const spec = parseSequential({ layers });
const weightsOf = (seed: number) => initialWeights(planSequential(spec), seed);
const [one, two] = [servedEvents('one', spec, weightsOf(2), config), servedEvents('two', spec, weightsOf(3), config)];
const network = new SequentialNetwork(spec, weightsOf(2));

describe('next event', () => {
  it('forecasts from the last events of each device', () => {
    const driver = nextEvents(config, []);
    activateEvents(driver, one);
    [1, 2, 3, 4].forEach((code, i) => {
      driver.pipe('events', 'a', { code }, i + 1);
    });
    driver.pipe('events', 'b', { code: 5 }, 9);
    const scores = network.predict(Float32Array.from([1, 2, 3, 2, 3, 4]), 2, 3);
    const records = driver.records<NextEvent>('next');
    expect(records.map(({ key, time }) => [key, time])).toEqual([
      ['a', 3],
      ['a', 4],
    ]);
    records.forEach(({ value, key, time }, i) => {
      const probabilities = [...softmax(scores.subarray(i * 6, (i + 1) * 6))];
      expect(value).toMatchObject({ type: 'NextEvent', device: key, time, model: 'one', probabilities });
      expect(value.probability).toBe(Math.max(...probabilities));
      expect(value.code).toBe(probabilities.indexOf(value.probability));
    });
    expect(driver.counts.get('expect', 'too-few-events')).toBe(3);
  });

  it('does not make probabilities of probabilities', () => {
    const sure = parseSequential({
      layers: [...layers.slice(0, 2), { type: 'Dense', units: 6, activation: 'softmax' }],
    });
    const driver = nextEvents(config, []);
    activateEvents(driver, servedEvents('sure', sure, initialWeights(planSequential(sure), 2), config));
    for (const code of [1, 2, 3]) driver.pipe('events', 'a', { code }, 1);
    const [{ probabilities }] = driver.values<NextEvent>('next') as [NextEvent];
    expect(probabilities).toEqual([
      ...new SequentialNetwork(sure, initialWeights(planSequential(sure), 2)).predict(
        Float32Array.from([1, 2, 3]),
        1,
        3,
      ),
    ]);
  });

  it('counts and drops codes that it does not know, and forecasts nothing without a model', () => {
    const driver = nextEvents(config, []);
    for (const code of [1, 6, 2, -1, 1.5, Number.NaN, 3]) driver.pipe('events', 'a', { code }, 1);
    expect(driver.values('next')).toHaveLength(0);
    expect(driver.counts.get('expect', 'unknown-code')).toBe(4);
    expect(driver.counts.get('expect', 'no-model')).toBe(1);
    activateEvents(driver, one, 'default');
    expect(driver.counts.get('expect', 'activation-of-another-line')).toBe(1);
    activateEvents(driver, servedEvents('narrow', spec, weightsOf(1), { steps: 2, codes: 6 }));
    expect(driver.counts.get('expect', 'activation-refused')).toBe(1);
    activateEvents(driver, one);
    driver.pipe('events', 'a', { code: 1 }, 2);
    activateEvents(driver, undefined);
    driver.pipe('events', 'a', { code: 1 }, 3);
    expect(driver.values('next')).toHaveLength(1);
  });

  it('does not go on with a model that the changed configuration does not fit', async () => {
    const other = parseSequential({ layers: [{ ...layers[0], input_dim: 5 }, layers[1], { ...layers[2], units: 5 }] });
    const weights = initialWeights(planSequential(other), 2);
    const driver = nextEvents(config, [servedEvents('one', other, weights, { ...config, codes: 5 })]);
    activateEvents(driver, one);
    for (const code of [1, 2, 3]) driver.pipe('events', 'a', { code }, code);
    expect(driver.records('next')).toHaveLength(1);
    await driver.restart();
    driver.pipe('events', 'a', { code: 4 }, 4);
    expect(driver.records('next')).toHaveLength(1);
    expect(driver.counts.get('expect', 'no-model')).toBe(1);
  });

  it('depends neither on where batches are cut nor on where models change and tasks restart', async () => {
    const event = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 5 }), fc.boolean());
    const swap = fc.constantFrom(one, two, undefined);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ arbitrary: event, weight: 8 }, swap), { maxLength: 60 }),
        fc.nat(60),
        async (items, crash) => {
          const play = async (cut: () => boolean, crashAt: number) => {
            const driver = nextEvents(config, [one, two], { cut });
            for (const [i, item] of items.entries()) {
              if (i === crashAt) await driver.restart();
              if (Array.isArray(item)) driver.pipe('events', item[0], { code: item[1] }, i + 1);
              else activateEvents(driver, item);
            }
            return driver.records<NextEvent>('next').map(({ key, value, time }) => [key, time, value]);
          };
          let at = 0;
          const cuts = items.map((item) => Array.isArray(item) && item[2]);
          expect(await play(() => cuts[at++ % cuts.length]!, crash)).toEqual(await play(() => true, -1));
        },
      ),
      { numRuns: 40 },
    );
  });
});
