import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { FleetcastError, messageOf } from '../../errors.ts';

export interface CsvFormat {
  readonly file: string;
  /** Default: found out from the first lines among comma, semicolon, tab and bar. */
  readonly delimiter?: string;
  /** Default `auto`: UTF-8, UTF-16 by its byte order mark, or else Latin-1. */
  readonly encoding?: 'auto' | 'utf8' | 'latin1' | 'utf16le';
  /** The first line holds the names. Default true; otherwise columns are called `1`, `2`, … */
  readonly header?: boolean;
  /** Lines before the header, or before the first row. Default 0. */
  readonly skipLines?: number;
}

export interface CsvLayout {
  readonly delimiter: string;
  readonly encoding: 'utf8' | 'latin1' | 'utf16le';
  /** One for each field of a row. Row numbers without a name (as R writes them) are called `row`. */
  readonly names: readonly string[];
  /** Lines before the first row. */
  readonly headerLines: number;
  /** The first rows, to find out which columns hold numbers. */
  readonly sample: readonly (readonly string[])[];
}

/** Bytes that the layout is found out from. */
const SAMPLE_BYTES = 256 * 1024;
export const MAX_ROW_BYTES = 1024 * 1024;

/** Looks at the beginning of a file. @throws CSV_INVALID for a file that is missing, empty or has a name twice. */
export async function csvLayout(format: CsvFormat): Promise<CsvLayout> {
  const bytes = await beginning(format.file);
  const encoding = encodingOf(bytes, format.encoding ?? 'auto');
  let text = bytes.toString(encoding).replace(/^\ufeff/, '');
  // The last line may be cut in the middle; a character too, at the end of the sample only.
  if (bytes.length === SAMPLE_BYTES) text = text.slice(0, text.lastIndexOf('\n') + 1);
  const delimiter = format.delimiter ?? findDelimiter(text);
  const skipLines = format.skipLines ?? 0;
  let rows: string[][];
  try {
    rows = parse(text, {
      ...parserOptions(delimiter),
      from_line: skipLines + 1,
      to: 501,
    }) as string[][];
  } catch (cause) {
    throw new FleetcastError('CSV_INVALID', `${format.file}: ${messageOf(cause)}`, { cause });
  }
  const header = format.header ?? true;
  const sample = header ? rows.slice(1) : rows;
  const width = sample[0]?.length ?? rows[0]?.length ?? 0;
  if (width === 0) throw new FleetcastError('CSV_INVALID', `${format.file} holds no rows`);
  const names = header ? rows[0]!.map((name) => name.trim()) : Array.from({ length: width }, (_, i) => String(i + 1));
  // R writes row numbers without a name: the header is one field short.
  if (names.length === width - 1) names.unshift('row');
  const twice = names.find((name, i) => name !== '' && names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new FleetcastError('CSV_INVALID', `${format.file}: the header has ${JSON.stringify(twice)} twice`);
  }
  return { delimiter, encoding, names, headerLines: skipLines + (header ? 1 : 0), sample };
}

export function parserOptions(delimiter: string) {
  return {
    delimiter,
    bom: true,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: MAX_ROW_BYTES,
  } as const;
}

async function beginning(file: string): Promise<Buffer> {
  try {
    const handle = await open(file);
    try {
      const buffer = Buffer.alloc(SAMPLE_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, SAMPLE_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new FleetcastError('CSV_INVALID', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

function encodingOf(bytes: Buffer, wanted: NonNullable<CsvFormat['encoding']>): CsvLayout['encoding'] {
  if (wanted !== 'auto') return wanted;
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf16le';
  if (isUtf8(bytes)) return 'utf8';
  // A sample may end within a character of up to four bytes.
  for (let cut = 1; cut <= 3; cut++) if (isUtf8(bytes.subarray(0, bytes.length - cut))) return 'utf8';
  return 'latin1';
}

/** The separator that occurs most evenly in the first lines; one that the header lacks may be a decimal comma. */
function findDelimiter(text: string): string {
  const lines = text.split(/\r?\n/, 20).filter((line) => line.trim() !== '');
  let best = ',';
  let most = 0;
  let named = false;
  for (const candidate of [',', ';', '\t', '|']) {
    const counts = lines.map((line) => line.split(candidate).length - 1);
    const least = Math.min(...counts.slice(1), counts[1] === undefined ? counts[0]! : Number.POSITIVE_INFINITY);
    const inHeader = least > 0 && counts[0]! > 0 && counts[0]! <= least;
    if (named ? inHeader && least > most : inHeader || least > most) {
      named = inHeader;
      most = least;
      best = candidate;
    }
  }
  return best;
}
