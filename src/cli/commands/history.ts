import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Command } from 'commander';
import { csvValues, type ValueRow } from '../../bridges/csv/value-rows.ts';
import { parquetValues, writeParquet } from '../../bridges/parquet/parquet-values.ts';
import { FleetcastError, messageOf } from '../../errors.ts';
import { seriesKey } from '../../events/records.ts';
import { bucketRows } from '../../retraining/bucket-rows.ts';
import { eachMeasured, gridLength, stretches } from '../../retraining/history-grid.ts';
import { importHistory } from '../../retraining/history-import.ts';
import { checkHistoryInterval } from '../../retraining/history-interval.ts';
import { type HistorySeries, readHistory } from '../../retraining/history-reader.ts';
import { plainName, shownNames } from '../../retraining/series-names.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { addCsvOptions, type CsvOptions, csvFormat } from '../csv-options.ts';
import { type Opened, withLog, withLogAsItIs } from '../opened.ts';
import { list, time } from '../options.ts';
import { seriesChosen } from '../series-option.ts';
import { type Terminal, textTable } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly series?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  readonly json?: boolean;
  readonly out?: string;
}

interface ImportOptions extends ConfigOption, CsvOptions {
  readonly series?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  readonly aggregate?: boolean;
  readonly json?: boolean;
}

export function addHistory(program: Command, terminal: Terminal): void {
  const history = program
    .command('history')
    .description('The history that models are trained on: list, export, import.');
  const add = (name: string, description: string) =>
    history
      .command(name)
      .description(description)
      .option('--config <file>', CONFIG_HELP)
      .option('--series <list>', 'only these series, as device/quantity, comma between them', list)
      .option('--from <time>', 'only buckets from this time on', time)
      .option('--to <time>', 'only buckets before this time', time);

  add('list', 'Series with their spans, buckets and gaps.')
    .option('--json', 'as JSON')
    .action((options: Options) =>
      withLogAsItIs(options, async (opened) => {
        const read = await readChosen(opened, options, terminal);
        const shown = shownNames(read.map(keyOf));
        const rows = read.map((series) => ({ series: shown.get(keyOf(series))!, ...describe(series) }));
        if (options.json) return terminal.out(JSON.stringify(rows));
        if (rows.length === 0) return terminal.out('no history yet');
        terminal.out(
          textTable(
            ['series', 'from', 'to', 'buckets', 'empty', 'gaps', 'segments', 'revision'],
            rows.map((row) => [
              row.series,
              row.from.slice(0, 16),
              row.to.slice(0, 16),
              String(row.buckets),
              String(row.empty),
              String(row.gaps),
              String(row.segments),
              String(row.revision),
            ]),
          ),
        );
      }),
    );

  add('export', 'Every measured bucket as a row: device, quantity, time, value, readings. CSV, or Parquet by the name.')
    .option('--out <file>', 'a file (.csv or .parquet) instead of standard output (-)')
    .action((options: Options) =>
      withLogAsItIs(options, async (opened) => {
        const rows = valueRows(await readChosen(opened, options, terminal));
        if (options.out === undefined || options.out === '-') {
          for (const line of csvLines(rows)) terminal.out(line);
          return;
        }
        if (isParquet(options.out)) await writeParquet(options.out, rows);
        else await writeLines(options.out, csvLines(rows));
        terminal.note(`wrote ${options.out}`);
      }),
    );

  const importing = history
    .command('import')
    .description('Begin with years of history: buckets, or readings with --aggregate, from CSV or Parquet.')
    .argument('<file>', 'device, quantity, time, value and readings; or CSV with a column for each quantity')
    .option('--config <file>', CONFIG_HELP)
    .option('--series <list>', 'only these series, as device/quantity, comma between them', list)
    .option('--from <time>', 'only values from this time on', time)
    .option('--to <time>', 'only values before this time', time)
    .option('--aggregate', 'values are readings at any time: put them into buckets as the pipeline would')
    .option('--json', 'as JSON');
  addCsvOptions(importing).action((file: string, options: ImportOptions) =>
    withLog(
      options,
      async ({ log, topics, pipeline, now }) => {
        await checkHistoryInterval(log, topics.history, pipeline.interval);
        const wanted = { ...options, aggregate: options.aggregate ? pipeline.aggregate : undefined };
        const rows = isParquet(file) ? parquetValues(file) : csvValues({ file, ...csvFormat(options) });
        const imported = await importHistory(
          { log, topics, now, interval: pipeline.interval, segment: pipeline.segment },
          bucketRows(rows, pipeline.interval, wanted),
        );
        if (options.json) return terminal.out(JSON.stringify(imported));
        const { buckets, segments, kept } = imported;
        const text = (count: number): string => count.toLocaleString('en');
        terminal.out(`${text(buckets)} buckets in ${text(segments)} segments imported`);
        if (kept > 0) terminal.out(`${text(kept)} segments are in the history already and were left as they are`);
      },
      { create: true },
    ),
  );
}

function isParquet(file: string): boolean {
  return file.toLowerCase().endsWith('.parquet');
}

async function readChosen(opened: Opened, options: Options, terminal: Terminal): Promise<readonly HistorySeries[]> {
  const { log, topics } = opened;
  const wanted = await seriesChosen(options.series, log, topics.history, terminal.signal);
  const { series } = await readHistory({
    log,
    topic: topics.history,
    longest: Number.POSITIVE_INFINITY,
    signal: terminal.signal,
    ...(wanted === undefined ? {} : { only: new Set(wanted) }),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.to === undefined ? {} : { to: options.to }),
  });
  const found = new Set(series.map(keyOf));
  const missing = wanted?.find((key) => !found.has(key));
  if (missing === undefined) return series;
  throw new FleetcastError('USAGE', `${plainName(missing)} has no buckets in ${span(options.from, options.to)}`);
}

function keyOf({ device, quantity }: HistorySeries): string {
  return seriesKey(device, quantity);
}

function span(from: number | undefined, to: number | undefined): string {
  const text = (time: number | undefined, open: string) => (time === undefined ? open : new Date(time).toISOString());
  return `${text(from, 'the beginning')} to ${text(to, 'the end')}`;
}

/** `revision`: the highest of any segment; a segment begins with 0 and has one more for each time it was written again. */
function describe(series: HistorySeries) {
  const { start, interval, segments, revision } = series;
  let buckets = 0;
  let gaps = 0;
  let next = 0;
  eachMeasured(series, (_value, at) => {
    buckets += 1;
    if (at > next) gaps += 1;
    next = at + 1;
  });
  const length = gridLength(series);
  return {
    from: new Date(start).toISOString(),
    to: new Date(start + length * interval).toISOString(),
    interval,
    buckets,
    empty: length - buckets,
    gaps,
    segments,
    revision,
  };
}

function* valueRows(series: readonly HistorySeries[]): Generator<ValueRow> {
  for (const one of series) {
    const { device, quantity, start, interval, values, counts } = one;
    for (const { from, to, at } of stretches(one)) {
      for (let i = from; i < to; i++) {
        const value = values[i]!;
        const time = start + (at + i - from) * interval;
        if (!Number.isNaN(value)) yield { device, quantity, time, value, count: counts[i] || 1 };
      }
    }
  }
}

function* csvLines(rows: Iterable<ValueRow>): Generator<string> {
  yield 'device,quantity,time,value,readings';
  for (const { device, quantity, time: at, value, count } of rows) {
    yield `${cell(device)},${cell(quantity)},${new Date(at).toISOString()},${value},${count}`;
  }
}

/** RFC 4180; a leading sign that a spreadsheet would take for a formula is kept as it is: names are data. */
function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function writeLines(file: string, lines: Iterable<string>): Promise<void> {
  const stream = createWriteStream(file);
  try {
    await once(stream, 'open');
    for (const line of lines) if (!stream.write(`${line}\n`)) await once(stream, 'drain');
    stream.end();
    await once(stream, 'finish');
  } catch (cause) {
    throw new FleetcastError('USAGE', `cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}
