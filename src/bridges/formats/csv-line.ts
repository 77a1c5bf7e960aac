import { FleetcastError } from '../../errors.ts';
import { excerpt, Reject } from '../mapping/reject.ts';
import type { Decoder, FormatLimits } from './bounds.ts';
import { numberOrText, textOf } from './text.ts';
import { localNumber } from './text-with-unit.ts';

export interface CsvLineOptions {
  /** Names of the columns in order; an empty name leaves the column out. Without names: `0`, `1`, … */
  readonly columns?: readonly string[];
  /** One character. Default comma. */
  readonly delimiter?: string;
  /** Numbers are written `21,5`. Default false. */
  readonly decimalComma?: boolean;
}

/**
 * One line of CSV, or several: a list of objects by column. Quotes as in RFC 4180; empty cells are left out.
 *
 * @throws CONFIG_INVALID for a delimiter that is not one character.
 */
export function csvLineDecoder(options: CsvLineOptions, limits: FormatLimits): Decoder {
  const { columns, delimiter = ',', decimalComma = false } = options;
  if (delimiter.length !== 1 || /["\r\n]/.test(delimiter)) {
    throw new FleetcastError('CONFIG_INVALID', `${JSON.stringify(delimiter)} cannot separate columns`);
  }
  const cellValue = (text: string) => (decimalComma ? (localNumber(text) ?? text) : numberOrText(text));
  return (payload) => {
    const text = textOf(payload);
    const rows: Record<string, unknown>[] = [];
    let left = limits.maxNodes;
    let at = 0;
    while (at < text.length) {
      const { cells, next } = readRow(text, at, delimiter);
      at = next;
      if (cells.length === 1 && cells[0]!.trim() === '') continue;
      left -= cells.length;
      if (left < 0) throw new Reject('too-many-values', `more than ${limits.maxNodes} cells in one payload`);
      if (columns !== undefined && cells.length > columns.length) {
        throw new Reject('malformed', `${cells.length} cells; the mapping names ${columns.length} columns`);
      }
      const row = Object.create(null) as Record<string, unknown>;
      cells.forEach((cell, i) => {
        const name = columns === undefined ? String(i) : columns[i]!;
        const trimmed = cell.trim();
        if (name !== '' && trimmed !== '') row[name] = cellValue(trimmed);
      });
      rows.push(row);
    }
    if (rows.length === 0) throw new Reject('malformed', 'no line of CSV');
    return rows;
  };
}

function readRow(text: string, start: number, delimiter: string): { cells: string[]; next: number } {
  const cells: string[] = [];
  let at = start;
  for (;;) {
    let cell = '';
    if (text[at] === '"') {
      const quoted = /"((?:[^"]|"")*)"/y;
      quoted.lastIndex = at;
      const found = quoted.exec(text);
      if (found === null) throw new Reject('malformed', `a quote without end in ${excerpt(text.slice(at, at + 60))}`);
      cell = found[1]!.replaceAll('""', '"');
      at += found[0].length;
    } else {
      const from = at;
      while (at < text.length && text[at] !== delimiter && text[at] !== '\n' && text[at] !== '\r') at++;
      cell = text.slice(from, at);
    }
    cells.push(cell);
    if (text[at] === delimiter) {
      at++;
      continue;
    }
    if (at >= text.length) return { cells, next: at };
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    else if (text[at - 1] !== '\r')
      throw new Reject('malformed', `text after a quote in ${excerpt(text.slice(start, start + 60))}`);
    return { cells, next: at };
  }
}
