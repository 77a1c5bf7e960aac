import { FleetcastError } from '../../errors.ts';
import { compileTime, type TimeFormat, type TimeParser } from '../mapping/time.ts';
import type { CsvLayout } from './layout.ts';

const COMMA = /^[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+$/;
const THOUSANDS = /^[+-]?\d{1,3},\d{3}$/;
const POINT = /^[+-]?\d*\.\d+$/;

/**
 * The decimal sign of a table: a comma where the columns are not separated by commas, some cells are written like 20,05
 * and none like 20.05. Where all of them might be thousands (1,234) it stays a point.
 */
export function findDecimal({ delimiter, sample }: CsvLayout, except: readonly number[]): '.' | ',' {
  if (delimiter === ',') return '.';
  let commas = 0;
  for (const row of sample) {
    for (const [i, each] of row.entries()) {
      const cell = each.trim();
      if (except.includes(i)) continue;
      if (POINT.test(cell)) return '.';
      if (COMMA.test(cell) && !THOUSANDS.test(cell)) commas++;
    }
  }
  return commas > 0 ? ',' : '.';
}

/** What to try where no column was found to hold numbers. */
export function decimalHint({ sample }: CsvLayout, decimal: '.' | ','): string {
  const wanted = decimal === '.' ? COMMA : POINT;
  const cell = sample.flat().find((each) => wanted.test(each.trim()));
  if (cell === undefined) return '';
  return `; cells such as ${JSON.stringify(cell)} do when the decimal sign is a ${decimal === '.' ? 'comma (--decimal comma)' : 'point (--decimal point)'}`;
}

const DATE = /^(\d{1,2})([./])(\d{1,2})\2\d{4}(?:\s+\d{1,2}:\d\d(:\d\d)?(?:\s*([ap])\.?m\.?)?)?$/i;

/**
 * Reads the times of a column. What `auto` does not know are dates like 31.12.2026, which begin with the day, and dates
 * with slashes, which begin with the day or the month as the first rows show. Times that say no zone are UTC by default.
 * @throws CSV_INVALID where the first rows do not show it.
 */
export function timeParser(
  layout: CsvLayout,
  at: number,
  { timeFormat = 'auto', zone = 'UTC' }: { readonly timeFormat?: TimeFormat; readonly zone?: string },
  file: string,
): TimeParser {
  return compileTime(timeFormat === 'auto' ? (findPattern(layout, at, file) ?? 'auto') : timeFormat, zone);
}

function findPattern({ sample }: CsvLayout, at: number, file: string): TimeFormat | undefined {
  const found = sample.map((row) => DATE.exec((row[at] ?? '').trim())).filter((each) => each !== null);
  const [first] = found;
  if (first === undefined) return undefined;
  const [text, , sign, , seconds, half] = first;
  const hour = half === undefined ? 'H:mm' : 'h:mm';
  const clock = text.includes(':')
    ? ` ${hour}${seconds === undefined ? '' : ':ss'}${half === undefined ? '' : ' a'}`
    : '';
  const dayFirst = `d${sign}M${sign}yyyy${clock}`;
  if (sign === '.') return dayFirst;
  const monthFirst = `M/d/yyyy${clock}`;
  if (found.some(([, one]) => Number(one) > 12)) return dayFirst;
  if (found.some(([, , , two]) => Number(two) > 12)) return monthFirst;
  throw new FleetcastError(
    'CSV_INVALID',
    `${file}: times such as ${JSON.stringify(text)} may begin with the day or the month: say --time-format "${dayFirst}" or "${monthFirst}"`,
  );
}
