// The data sets of the accuracy benchmarks and their protocols.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Folder of the real data: FLEETCAST_TEST_DATA, or shared/data beside the project. */
export function dataFolder() {
  const folder = process.env.FLEETCAST_TEST_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));
  if (!existsSync(folder)) throw new Error(`no data at ${folder}: set FLEETCAST_TEST_DATA`);
  return folder;
}

/**
 * Every column standardised with mean and deviation of its training rows only; stride 1; windows of validation and test
 * may look back across their border. No window is left out.
 */
export function protocolSet(data, shape) {
  const rows = data.testEnd;
  const values = new Float64Array(data.series.length * rows);
  const measured = new Uint8Array(values.length).fill(1);
  const scales = data.series.map((series, column) => {
    values.set(series.subarray(0, rows), column * rows);
    if (data.measured) measured.set(data.measured[column].subarray(0, rows), column * rows);
    const train = series.subarray(0, data.trainEnd);
    const mean = train.reduce((sum, v) => sum + v, 0) / train.length;
    return { mean, deviation: Math.sqrt(train.reduce((sum, v) => sum + (v - mean) ** 2, 0) / train.length) };
  });
  const index = (from, to) => {
    const starts = [];
    const columns = [];
    for (let s = Math.max(0, from - shape.lookback); s + shape.lookback + shape.horizon <= to; s++) {
      for (let column = 0; column < data.series.length; column++) {
        starts.push(column * rows + s);
        columns.push(column);
      }
    }
    return {
      starts: Int32Array.from(starts),
      means: Float64Array.from(columns, (column) => scales[column].mean),
      deviations: Float64Array.from(columns, (column) => scales[column].deviation),
      columns: Int32Array.from(columns),
    };
  };
  const { columns: testColumns, ...test } = index(data.validationEnd, data.testEnd);
  const { columns: _, ...train } = index(shape.lookback, data.trainEnd);
  const { columns: __, ...validation } = index(data.trainEnd, data.validationEnd);
  return { shape, values, measured, train, validation, test, testColumns };
}

/** ETTh1: months of 30 days, 12 for training, 4 for validation, 4 for test; later rows unused. */
export function etth1(file) {
  const { names, rows } = table(readFileSync(file, 'utf8'), 14_400);
  return {
    names,
    series: columnsOf(rows, names.length),
    trainEnd: 8640,
    validationEnd: 11_520,
    testEnd: 14_400,
  };
}

/** Jena 2020: hourly means, −9999 missing, gaps interpolated; 70/20/10. */
export function weather(file) {
  const text = readFileSync(file, 'latin1');
  const { names, rows, times } = table(text);
  const { series } = regular(times, columnsOf(rows, names.length, -9999), 3_600_000, interpolate);
  return { names, series, ...split(series[0].length, 0.7, 0.9) };
}

/** One series of the Numenta benchmark on a regular grid; gaps keep the last value and do not count; 60/20/20. */
export function nab(file, intervalMs) {
  const { names, rows, times } = table(readFileSync(file, 'utf8'));
  const { series, measured } = regular(times, columnsOf(rows, names.length), intervalMs, holdLast);
  return { names, series, measured, ...split(series[0].length, 0.6, 0.8) };
}

/** The three files of the occupancy set in the order of their times, one grid. */
export function occupancy(folder, intervalMs) {
  const quantities = ['Temperature', 'Humidity', 'Light', 'CO2', 'HumidityRatio'];
  const all = ['datatest.txt', 'datatraining.txt', 'datatest2.txt'].flatMap((name) => {
    // The header is one field short: the first field of every row is its number.
    const lines = readFileSync(`${folder}/${name}`, 'utf8').trimEnd().split(/\r?\n/).slice(1);
    return lines.map((line) => line.replaceAll('"', '').split(','));
  });
  const times = all.map((cells) => Date.parse(`${cells[1].replace(' ', 'T')}Z`));
  const columns = quantities.map((_, i) => Float64Array.from(all, (cells) => Number(cells[2 + i])));
  const { series, measured } = regular(times, columns, intervalMs, holdLast);
  return { names: quantities, series, measured, ...split(series[0].length, 0.6, 0.8) };
}

function split(rows, train, validation) {
  return { trainEnd: Math.floor(rows * train), validationEnd: Math.floor(rows * validation), testEnd: rows };
}

function table(text, most = Number.POSITIVE_INFINITY) {
  const lines = text.trimEnd().split(/\r?\n/);
  const [, ...names] = lines[0].split(',');
  const rows = lines.slice(1, 1 + most).map((line) => line.split(','));
  return { names, rows, times: rows.map(([time]) => Date.parse(`${time.replace(' ', 'T')}Z`)) };
}

function columnsOf(rows, count, missing = Number.NaN) {
  return Array.from({ length: count }, (_, column) =>
    Float64Array.from(rows, (cells) => {
      const value = Number(cells[column + 1]);
      return value === missing ? Number.NaN : value;
    }),
  );
}

/** Means of a regular grid. A time that goes back falls into the bucket of its time. */
function regular(times, columns, intervalMs, fill) {
  const first = Math.floor(times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY) / intervalMs);
  const last = Math.floor(times.reduce((most, time) => Math.max(most, time), 0) / intervalMs);
  const results = columns.map((column) => {
    const sums = new Float64Array(last - first + 1);
    const counts = new Float64Array(sums.length);
    column.forEach((value, row) => {
      if (Number.isNaN(value)) return;
      const bucket = Math.floor(times[row] / intervalMs) - first;
      sums[bucket] += value;
      counts[bucket]++;
    });
    const measured = Uint8Array.from(counts, (count) => (count > 0 ? 1 : 0));
    return { series: fill(sums.map((sum, i) => sum / counts[i])), measured };
  });
  return { series: results.map(({ series }) => series), measured: results.map(({ measured }) => measured) };
}

function interpolate(series) {
  let before = -1;
  for (let i = 0; i <= series.length; i++) {
    if (i < series.length && Number.isNaN(series[i])) continue;
    for (let k = before + 1; k < i; k++) {
      if (before < 0) series[k] = series[i];
      else if (i === series.length) series[k] = series[before];
      else series[k] = series[before] + ((series[i] - series[before]) * (k - before)) / (i - before);
    }
    before = i;
  }
  return series;
}

function holdLast(series) {
  for (let i = 1; i < series.length; i++) if (Number.isNaN(series[i])) series[i] = series[i - 1];
  return series;
}
