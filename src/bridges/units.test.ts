import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { converter, dimensionOf } from './units.ts';

describe('units', () => {
  it.each([
    [68, '°F', '°C', 20],
    [-40, 'fahrenheit', 'celsius', -40],
    [293.15, 'K', '°C', 20],
    [20, 'C', 'F', 68],
    [101_325, 'Pa', 'hPa', 1013.25],
    [1013.25, 'mbar', 'hPa', 1013.25],
    [1013.25, 'hPa', 'Pa', 101_325],
    [30, 'inHg', 'hPa', 1015.9167],
    [760, 'mmHg', 'hPa', 1013.25],
    [36, 'km/h', 'm/s', 10],
    [10, 'mph', 'm/s', 4.4704],
    [1, 'kWh', 'Wh', 1000],
    [1500, 'Wh', 'kWh', 1.5],
    [3025, 'mV', 'V', 3.025],
    [1, 'in', 'mm', 25.4],
    [50, '%', '1', 0.5],
    [7, 'widgets', 'widgets', 7],
  ])('%d %s is %s: %s', (value, from, to, expected) => {
    expect(converter(from, to)?.(value)).toBeCloseTo(expected, 9 - Math.ceil(Math.log10(Math.abs(expected) + 1)) - 3);
  });

  it('keeps round numbers round', () => {
    expect(converter('°F', '°C')?.(68)).toBe(20);
    expect(converter('Pa', 'hPa')?.(101_325)).toBe(1013.25);
    expect(converter('Wh', 'kWh')?.(381_701)).toBe(381.701);
  });

  it.each([
    ['°C', 'hPa'],
    ['widgets', '°C'],
    ['°C', 'widgets'],
  ])('does not turn %s into %s', (from, to) => expect(converter(from, to)).toBeUndefined());

  it('tells MW from mW by case only, and ignores the case of the others', () => {
    expect(converter('MW', 'W')?.(1)).toBe(1e6);
    expect(converter('mW', 'W')?.(1)).toBe(1e-3);
    expect(converter('Mw', 'W')).toBeUndefined();
    expect(dimensionOf('KWH')).toBe('energy');
    expect(dimensionOf('Degrees_Celsius')).toBe('temperature');
  });

  it('comes back to where it began', () => {
    const pair = fc.constantFrom(['°F', '°C'], ['K', '°F'], ['psi', 'hPa'], ['kn', 'km/h'], ['MJ', 'kWh']);
    fc.assert(
      fc.property(pair, fc.float({ min: -1e5, max: 1e5, noNaN: true }), ([a, b], value) => {
        const there = converter(a!, b!)!(value);
        expect(converter(b!, a!)!(there)).toBeCloseTo(value, 4);
      }),
    );
  });
});
