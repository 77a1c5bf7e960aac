import { describe, expect, it } from 'vitest';
import { DEFECTS } from './defects.ts';
import { simulate } from './simulate.ts';

const one = process.env['FLEETCAST_SEED'];
const count = Number(process.env['FLEETCAST_SEEDS'] ?? (process.env['CI'] ? 300 : 100));
/** New seeds in each run; a failing one is printed and can be had again. */
const first = one === undefined ? (Date.now() % 1_000_000_000) * 2 : Number(one);

describe('deterministic simulation', () => {
  it(`holds its invariants for ${one === undefined ? `${count} seeds from ${first}` : `seed ${one}`}`, async () => {
    for (let seed = first; seed < first + (one === undefined ? count : 1); seed++) {
      const { failure, trace } = await simulate(seed);
      if (failure !== undefined || one !== undefined) console.log(trace.join('\n'));
      if (failure !== undefined) {
        expect.fail(`seed ${seed}: ${failure}\nRun it again: npm run simulate -- --seed ${seed}`);
      }
    }
  }, 3_600_000);

  it.each(Object.keys(DEFECTS))('finds it when %s', async (name) => {
    for (let seed = 1; seed <= 500; seed++) {
      const { failure } = await simulate(seed, DEFECTS[name]);
      if (failure !== undefined) return console.log(`${name}: found with seed ${seed}`);
    }
    expect.fail('500 seeds did not find it');
  }, 300_000);

  it('plays a seed the same way twice', async () => {
    const [a, b] = [await simulate(4711), await simulate(4711)];
    expect(a.trace.length).toBeGreaterThan(20);
    expect(b.trace).toEqual(a.trace);
  });
});
