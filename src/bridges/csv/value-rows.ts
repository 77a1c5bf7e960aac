import { createReadStream } from 'node:fs';
import { parse } from 'csv-parse';
import { FleetcastError, isFleetcastError, messageOf } from '../../errors.ts';
import { Reject } from '../mapping/reject.ts';
import type { TimeParser } from '../mapping/time.ts';
import { findDecimal, timeParser } from './conventions.ts';
import { type CsvFormat, csvLayout, parserOptions } from './layout.ts';
import { type CsvColumns, numberParser, rowMapper } from './row-mapper.ts';

/** One value of one series in a table. */
export interface ValueRow {
  readonly device: string;
  readonly quantity: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly value: number;
  /** Readings that the value stands for. */
  readonly count: number;
}

const LONG = ['device', 'quantity', 'time', 'value'] as const;

/**
 * The values of a CSV file: either one value a row (columns device, quantity, time, value and, if any, readings, as
 * `fleetcast history export` writes it), or one moment a row with a column for each quantity.
 * @throws CSV_INVALID, naming file and row
 */
export async function* csvValues(options: CsvFormat & CsvColumns): AsyncGenerator<ValueRow> {
  const { file } = options;
  const layout = await csvLayout(options);
  const long = LONG.every((name) => layout.names.includes(name));
  const index = (name: string): number => layout.names.indexOf(name);
  const longTime = long ? timeParser(layout, index('time'), options, file) : undefined;
  const longNumber = long
    ? numberParser(options.decimal ?? findDecimal(layout, LONG.slice(0, 3).map(index)), options.missing ?? [])
    : undefined;
  const mapper = long ? undefined : rowMapper(layout, options, file);
  const rows = createReadStream(file, { encoding: layout.encoding }).pipe(
    parse({ ...parserOptions(layout.delimiter), from_line: layout.headerLines + 1 }),
  );
  let number = layout.headerLines;
  const wrong = (what: string): FleetcastError => new FleetcastError('CSV_INVALID', `${file}, row ${number}: ${what}`);
  try {
    for await (const cells of rows as AsyncIterable<string[]>) {
      number++;
      if (mapper === undefined) {
        const [device, quantity, at, text] = LONG.map((name) => cells[index(name)] ?? '') as [
          string,
          string,
          string,
          string,
        ];
        const time = options.timeFormat === undefined && /^\d+$/.test(at) ? Number(at) : timeOf(longTime!, at);
        const value = Number(longNumber!(text));
        const count = index('readings') < 0 ? 1 : Number(cells[index('readings')]);
        if (device === '' || quantity === '') throw wrong('no device or no quantity');
        if (!Number.isFinite(time)) throw wrong(`${JSON.stringify(at)} is no time`);
        if (!Number.isFinite(value)) throw wrong(`${JSON.stringify(text)} is no number`);
        if (!Number.isSafeInteger(count) || count < 1) throw wrong('readings is no whole number from 1');
        yield { device, quantity, time, value, count };
        continue;
      }
      const row = mapper.map(cells, (column, cell) => {
        throw wrong(`column ${column} holds ${JSON.stringify(cell)}`);
      });
      if (typeof row === 'string') {
        if (row === 'no-values') continue;
        throw wrong(row === 'bad-time' ? `its time cannot be read: ${mapper.describe(cells)}` : 'no device');
      }
      for (const [quantity, value] of Object.entries(row.values)) {
        yield { device: row.device, quantity, time: row.time, value, count: 1 };
      }
    }
  } catch (cause) {
    if (isFleetcastError(cause)) throw cause;
    throw new FleetcastError('CSV_INVALID', `${file}: ${messageOf(cause)}`, { cause });
  }
}

/** NaN where it is no time. */
function timeOf(parse: TimeParser, cell: string): number {
  try {
    return parse(cell);
  } catch (error) {
    if (error instanceof Reject) return Number.NaN;
    throw error;
  }
}
