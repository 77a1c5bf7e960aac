import { type Command, InvalidArgumentError } from 'commander';
import type { CsvFormat } from '../bridges/csv/layout.ts';
import type { CsvColumns } from '../bridges/csv/row-mapper.ts';
import { defined, list, oneOf, whole } from './options.ts';

/** How a CSV file is written: the options of every command that reads one. */
export interface CsvOptions {
  readonly device?: string;
  readonly deviceColumn?: string;
  readonly timeColumn?: string;
  readonly timeFormat?: string;
  readonly zone?: string;
  readonly delimiter?: string;
  readonly encoding?: 'auto' | 'utf8' | 'latin1' | 'utf16le';
  readonly decimal?: '.' | ',';
  readonly missing?: readonly string[];
  readonly header: boolean;
  readonly skipLines?: number;
}

export function addCsvOptions(command: Command): Command {
  return command
    .option('--device <name>', "name of the device (default: the file's name without its ending)")
    .option('--device-column <name>', 'column that names the device of each row')
    .option('--time-column <name>', 'column with the time (default: time, date, timestamp and the like)')
    .option(
      '--time-format <format>',
      'iso, epoch-s, epoch-ms, or a pattern: "dd.MM.yyyy HH:mm:ss" (default: found out where it is not ambiguous)',
    )
    .option('--zone <name>', 'IANA zone of times that say none (default: UTC)')
    .option('--delimiter <character>', 'between columns (default: found out)', delimiter)
    .option('--encoding <name>', 'auto, utf8, latin1 or utf16le', oneOf(['auto', 'utf8', 'latin1', 'utf16le']))
    .option('--decimal <sign>', 'point or comma (default: found out where it is not ambiguous)', decimal)
    .option('--missing <list>', 'cells that stand for "no value", such as -9999,NaN (empty cells always do)', list)
    .option('--no-header', 'the first line is a row already; columns are called 1, 2, …')
    .option('--skip-lines <n>', 'lines before the header', whole(0));
}

export function csvFormat(options: CsvOptions): Omit<CsvFormat & CsvColumns, 'file' | 'columns'> {
  const { device, deviceColumn, timeColumn, timeFormat, zone, encoding, missing, header, skipLines } = options;
  return {
    header,
    ...defined({ device, deviceColumn, timeColumn, timeFormat, zone, encoding, missing, skipLines }),
    ...defined({ delimiter: options.delimiter, decimal: options.decimal }),
  };
}

function delimiter(text: string): string {
  const character = text === '\\t' || text === 'tab' ? '\t' : text;
  if (character.length !== 1) throw new InvalidArgumentError('one character, or tab.');
  return character;
}

function decimal(text: string): '.' | ',' {
  if (text === '.' || text === 'point') return '.';
  if (text === ',' || text === 'comma') return ',';
  throw new InvalidArgumentError('point or comma.');
}
