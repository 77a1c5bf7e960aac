import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextEvents } from '../../test/topologies/next-events.ts';
import { softmax } from '../models/sequential/activations.ts';
import { parseSequential } from '../models/sequential/configuration.ts';
import { initialWeights } from '../models/sequential/initial.ts';
import { SequentialNetwork } from '../models/sequential/network.ts';
import { planSequential } from '../models/sequential/plan.ts';
import type { NextEvent } from './next-event.ts';

const spec = parseSequential({
  layers: [
    { type: 'Embedding', input_dim: 6, output_dim: 4 },
    { type: 'LSTM', units: 5 },
    { type: 'Dense', units: 6 },
  ],
});
const network = new SequentialNetwork(spec, initialWeights(planSequential(spec), 2));
const config = { network, steps: 3, codes: 6, logits: true };

describe('next event', () => {
  it('forecasts from the last events of each device', () => {
    const driver = nextEvents(config);
    [1, 2, 3, 4].forEach((code, i) => {
      driver.pipe('events', 'a', { code }, i + 1);
    });
    driver.pipe('events', 'b', { code: 5 }, 9);
    const expected = [1, 2, 3, 2, 3, 4];
    const scores = network.predict(Float32Array.from(expected), 2, 3);
    const records = driver.records<NextEvent>('next');
    expect(records.map(({ key, time }) => [key, time])).toEqual([
      ['a', 3],
      ['a', 4],
    ]);
    records.forEach(({ value }, i) => {
      const probabilities = [...softmax(scores.subarray(i * 6, (i + 1) * 6))];
      expect(value.probabilities).toEqual(probabilities);
      expect(value.probability).toBe(Math.max(...probabilities));
      expect(value.code).toBe(probabilities.indexOf(value.probability));
    });
    expect(driver.counts.get('expect', 'too-few-events')).toBe(3);
  });

  it('counts and drops codes that it does not know', () => {
    const driver = nextEvents(config);
    for (const code of [1, 6, 2, -1, 1.5, Number.NaN, 3]) driver.pipe('events', 'a', { code }, 1);
    expect(driver.values('next')).toHaveLength(1);
    expect(driver.counts.get('expect', 'unknown-code')).toBe(4);
  });

  it('does not depend on where batches are cut', () => {
    const event = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 5 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const play = (cut: () => boolean) => {
          const driver = nextEvents(config, { cut });
          events.forEach(([key, code], i) => {
            driver.pipe('events', key, { code }, i + 1);
          });
          return driver.records<NextEvent>('next').map(({ key, value, time }) => [key, time, value]);
        };
        let at = 0;
        expect(play(() => events[at++]![2])).toEqual(play(() => true));
      }),
      { numRuns: 30 },
    );
  });
});
