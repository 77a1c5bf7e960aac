import { describe, expect, it } from 'vitest';
import { Random } from './random.ts';

describe('random numbers', () => {
  it('repeat for equal seeds and differ for others', () => {
    const draw = (...seeds: number[]) => {
      const random = new Random(...seeds);
      return Array.from({ length: 5 }, () => random.next());
    };
    expect(draw(1, 2)).toEqual(draw(1, 2));
    expect(draw(1, 2)).not.toEqual(draw(2, 1));
    expect(draw(0)).toMatchInlineSnapshot(`
      [
        3563308217,
        406238293,
        3065330310,
        30262803,
        1172922700,
      ]
    `);
  });

  it('are spread evenly, and normal ones have mean 0 and deviation 1', () => {
    const random = new Random(3);
    const counts = new Array<number>(10).fill(0);
    let sum = 0;
    let squares = 0;
    const n = 20_000;
    for (let i = 0; i < n; i++) {
      const bin = random.below(10);
      counts[bin] = counts[bin]! + 1;
      const x = random.normal();
      sum += x;
      squares += x * x;
    }
    for (const count of counts) expect(Math.abs(count - n / 10)).toBeLessThan(200);
    expect(Math.abs(sum / n)).toBeLessThan(0.03);
    expect(Math.abs(squares / n - 1)).toBeLessThan(0.03);
  });

  it('shuffle keeps every item once', () => {
    const items = Int32Array.from({ length: 100 }, (_, i) => i);
    new Random(5).shuffle(items, 40);
    expect([...items].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect([...items.slice(0, 40)]).not.toEqual(Array.from({ length: 40 }, (_, i) => i));
  });
});
