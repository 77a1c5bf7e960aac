import { describe, expect, it } from 'vitest';
import { cosine, exp2, sigmoid, tanh } from './arithmetic.ts';

describe('arithmetic', () => {
  it('has powers of two within 2e-7 of the true ones, and results in single precision', () => {
    for (let x = -126; x <= 126; x += 0.0137) {
      const single = Math.fround(x);
      expect(Math.abs(exp2(single) / 2 ** single - 1)).toBeLessThan(2e-7);
      expect(Math.fround(exp2(single))).toBe(exp2(single));
    }
    expect(exp2(1000)).toBe(2 ** 126);
    expect(exp2(-1000)).toBe(2 ** -126);
    expect(exp2(Number.NaN)).toBeNaN();
  });

  it('has sigmoid and tanh within 2e-7', () => {
    for (let x = -20; x < 20; x += 0.0101) {
      const single = Math.fround(x);
      expect(Math.abs(sigmoid(single) - 1 / (1 + Math.exp(-single)))).toBeLessThan(2e-7);
      expect(Math.abs(tanh(single) - Math.tanh(single))).toBeLessThan(2e-7);
    }
  });

  it('keeps these bits for ever, or the version of the arithmetic goes up', () => {
    const bits = (x: number) => new Uint32Array(Float32Array.of(x).buffer)[0]!.toString(16);
    const of = (fn: (x: number) => number) => [-3.25, -0.1, 0, 0.7, 5].map((x) => bits(fn(Math.fround(x))));
    expect([of(exp2), of(sigmoid), of(tanh)]).toMatchInlineSnapshot(`
      [
        [
          "3dd744fc",
          "3f6edb40",
          "3f800000",
          "3fcfefc5",
          "42000000",
        ],
        [
          "3d18e415",
          "3ef335ef",
          "3f000000",
          "3f2b0e5a",
          "3f7e4961",
        ],
        [
          "bf7f3b3d",
          "bdcc1eb8",
          "0",
          "3f1ab7da",
          "3f7ffa0c",
        ],
      ]
    `);
  });

  it('has a cosine for schedules', () => {
    for (let i = 0; i <= 1000; i++) {
      const x = (i / 1000) * Math.PI;
      expect(Math.abs(cosine(x) - Math.cos(x))).toBeLessThan(1e-12);
    }
  });
});
