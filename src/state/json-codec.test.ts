import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonCodec } from './json-codec.ts';

describe('jsonCodec', () => {
  const codec = jsonCodec<unknown>();

  it('gives back every value that it takes, to the bit', () => {
    const value = fc.anything({
      withBigInt: false,
      withDate: false,
      withMap: false,
      withSet: false,
      withTypedArray: false,
      withNullPrototype: false,
      withSparseArray: false,
    });
    fc.assert(
      fc.property(value, (given) => {
        const back = codec.decode(codec.encode(given));
        // Of undefined properties it is only said that they are left out.
        expect(back).toEqual(given);
      }),
      { numRuns: 500 },
    );
    for (const given of [Number.NaN, -0, Number.NEGATIVE_INFINITY, undefined, [undefined, -0], { sum: Number.NaN }]) {
      expect(codec.decode(codec.encode(given))).toStrictEqual(given);
    }
  });

  it('writes plain JSON where that is enough', () => {
    expect(Buffer.from(codec.encode({ sum: 1.5, names: ['a'] })).toString()).toBe('{"sum":1.5,"names":["a"]}');
  });

  it.each([
    ['a Set', { seen: new Set([1]) }, 'seen is an object of Set'],
    ['a Map', new Map(), 'the value is an object of Map'],
    ['a date', [new Date(0)], '0 is an object of Date'],
    ['bytes', { a: { b: new Uint8Array(1) } }, 'a.b is an object of Uint8Array'],
    ['a BigInt', { n: 1n }, 'n is bigint'],
  ])('refuses %s, which would be something else after a restart', (_, value, message) => {
    expect(() => codec.encode(value)).toThrow(message);
  });
});
