import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface WeatherRow {
  /** Degrees Celsius. */
  readonly temperature: number;
  /** Hectopascal. */
  readonly pressure: number;
  /** Metres a second. */
  readonly wind: number;
}

/**
 * The hourly normals of Seattle-Tacoma Airport (NOAA; npm package vega-datasets, BSD-3-Clause): 8,759 hours of 2010 from
 * January 1st, 01:00.
 */
export function seattleWeather(): readonly WeatherRow[] {
  const file = new URL('../data/seattle-weather-hourly-normals.csv', import.meta.resolve('vega-datasets'));
  const [, ...lines] = readFileSync(fileURLToPath(file), 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [, pressure, temperature, wind] = line.split(',').map(Number);
    return { pressure: pressure!, temperature: temperature!, wind: wind! };
  });
}

export const SEATTLE_START = Date.UTC(2010, 0, 1, 1);
