import { FleetcastError } from '../../errors.ts';
import { Reject } from '../mapping/reject.ts';
import type { TimeFormat } from '../mapping/time.ts';
import { decimalHint, findDecimal, timeParser } from './conventions.ts';
import type { CsvLayout } from './layout.ts';

export interface CsvColumns {
  /** Name of the column with the time. Default: `time`, `timestamp`, `date`, `datetime` and the like. */
  readonly timeColumn?: string;
  /** Default `auto`, which also knows dates such as 31.12.2026 and, where the rows tell day from month, 12/31/2026. */
  readonly timeFormat?: TimeFormat;
  /** Zone of times that say none. Default UTC. */
  readonly zone?: string;
  /** Columns to publish and the quantities they become; default every column that holds numbers, by its own name. */
  readonly columns?: readonly (string | { readonly column: string; readonly quantity: string })[];
  /** Default: found out where it is not ambiguous, otherwise a point. */
  readonly decimal?: '.' | ',';
  /** Cells that stand for "no value", as text or as number (`-9999` is `-9999.00` too). Empty cells always do. */
  readonly missing?: readonly string[];
  /** Name of the device, where the file has no column for it. Default: the file's name without its ending. */
  readonly device?: string;
  readonly deviceColumn?: string;
}

export interface CsvRow {
  readonly device: string;
  readonly time: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface RowMapper {
  readonly timeColumn: string;
  readonly quantities: readonly string[];
  /** The time cell, and the beginning of the row, for a message. */
  describe(cells: readonly string[]): string;
  /** The row, or why it cannot be played. `badCell` is called for a cell that is neither a number nor missing. */
  map(cells: readonly string[], badCell: (column: string, cell: string) => void): CsvRow | SkipReason;
}

export type SkipReason = 'bad-time' | 'no-values' | 'no-device';

const TIME_NAMES = ['time', 'timestamp', 'date', 'datetime', 'date_time', 'date time', 'ts', 'ds', 'zeit', 'datum'];
export const DEFAULT_MISSING: readonly string[] = ['NaN', 'NA', 'N/A', 'null', 'none', '-'];

/** @throws CSV_INVALID for a column that is not there or a layout in which no time or no number can be found. */
export function rowMapper(layout: CsvLayout, columns: CsvColumns, file: string): RowMapper {
  const { names } = layout;
  const place = (name: string): number => {
    const at = names.indexOf(name);
    if (at < 0) {
      throw new FleetcastError(
        'CSV_INVALID',
        `${file} has no column ${JSON.stringify(name)}; it has ${names.join(', ')}`,
        {
          details: { column: name },
        },
      );
    }
    return at;
  };
  const timeColumn =
    columns.timeColumn ??
    TIME_NAMES.map((name) => names.find((each) => each.toLowerCase() === name)).find((name) => name !== undefined);
  if (timeColumn === undefined) {
    throw new FleetcastError('CSV_INVALID', `${file}: which column holds the time? It has ${names.join(', ')}`);
  }
  const timeAt = place(timeColumn);
  const deviceAt = columns.deviceColumn === undefined ? undefined : place(columns.deviceColumn);
  const parseTime = timeParser(layout, timeAt, columns, file);
  const decimal = columns.decimal ?? findDecimal(layout, [timeAt, ...(deviceAt === undefined ? [] : [deviceAt])]);
  const number = numberParser(decimal, columns.missing ?? DEFAULT_MISSING);
  const wanted =
    columns.columns?.map((each) => (typeof each === 'string' ? { column: each, quantity: each } : each)) ??
    names
      .filter(
        (name, i) => i !== timeAt && i !== deviceAt && name !== '' && name !== 'row' && holdsNumbers(layout, i, number),
      )
      .map((name) => ({ column: name, quantity: name }));
  const fields = wanted.map(({ column, quantity }) => ({ at: place(column), column, quantity }));
  if (fields.length === 0) {
    throw new FleetcastError('CSV_INVALID', `${file}: no column holds numbers${decimalHint(layout, decimal)}`);
  }
  const clash = fields.find(({ quantity }) => quantity === 'time' || quantity === '__proto__');
  if (clash !== undefined) {
    throw new FleetcastError(
      'CSV_INVALID',
      `${file}: a quantity cannot be called ${clash.quantity}; choose another name`,
    );
  }
  const device = columns.device ?? nameOf(file);

  return {
    timeColumn,
    quantities: fields.map(({ quantity }) => quantity),
    describe: (cells) => {
      const row = cells.join(layout.delimiter);
      return `${timeColumn} is ${JSON.stringify(cells[timeAt] ?? '')} in ${JSON.stringify(row.length > 80 ? `${row.slice(0, 80)}…` : row)}`;
    },
    map: (cells, badCell) => {
      const name = deviceAt === undefined ? device : (cells[deviceAt] ?? '').trim();
      if (name === '') return 'no-device';
      let time: number;
      try {
        time = parseTime((cells[timeAt] ?? '').trim());
      } catch (error) {
        if (error instanceof Reject) return 'bad-time';
        throw error;
      }
      const values: Record<string, number> = {};
      let count = 0;
      for (const { at, column, quantity } of fields) {
        const value = number(cells[at] ?? '');
        if (value === 'missing') continue;
        if (value === 'bad') {
          badCell(column, cells[at] ?? '');
          continue;
        }
        values[quantity] = value;
        count++;
      }
      return count === 0 ? 'no-values' : { device: name, time, values };
    },
  };
}

type NumberParser = (cell: string) => number | 'missing' | 'bad';

export function numberParser(decimal: '.' | ',', missing: readonly string[]): NumberParser {
  const words = new Set(missing.map((each) => each.trim().toLowerCase()));
  const plain = (cell: string) => (decimal === ',' ? cell.replaceAll('.', '').replace(',', '.') : cell);
  const numbers = new Set(
    [...words].map((word) => Number(plain(word))).filter((value, i) => [...words][i] !== '' && Number.isFinite(value)),
  );
  const form = decimal === ',' ? /^[+-]?(\d[\d.]*)?(,\d*)?([eE][+-]?\d+)?$/ : /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
  return (cell) => {
    const text = cell.trim();
    if (text === '' || words.has(text.toLowerCase())) return 'missing';
    if (!form.test(text)) return 'bad';
    const value = Number(plain(text));
    if (!Number.isFinite(value)) return 'bad';
    return numbers.has(value) ? 'missing' : value;
  };
}

/** Every cell of the first rows is a number or missing, and one is a number. */
function holdsNumbers(layout: CsvLayout, at: number, number: NumberParser): boolean {
  let found = layout.sample.length === 0;
  for (const row of layout.sample) {
    const value = number(row[at] ?? '');
    if (value === 'bad') return false;
    if (value !== 'missing') found = true;
  }
  return found;
}

function nameOf(file: string): string {
  return file.replace(/^.*[\\/]/, '').replace(/\.[^.]+$/, '') || 'csv';
}
