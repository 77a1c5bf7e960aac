import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Command } from 'commander';
import { FleetcastError, messageOf } from '../../errors.ts';
import { seriesKey } from '../../events/records.ts';
import { type HistorySeries, readHistory } from '../../retraining/history-reader.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { type Opened, withLog } from '../opened.ts';
import { list, time } from '../options.ts';
import { type Terminal, textTable } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly series?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  readonly json?: boolean;
  readonly out?: string;
}

export function addHistory(program: Command, terminal: Terminal): void {
  const history = program.command('history').description('The history that models are trained on: list, export.');
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
      withLog(options, async (opened) => {
        const rows = (await read(opened, options, terminal)).map(describe);
        if (options.json) return terminal.out(JSON.stringify(rows));
        if (rows.length === 0) return terminal.out('no history yet');
        terminal.out(
          textTable(
            ['series', 'from', 'to', 'buckets', 'empty', 'gaps'],
            rows.map((row) => [
              row.series,
              row.from.slice(0, 16),
              row.to.slice(0, 16),
              String(row.buckets),
              String(row.empty),
              String(row.gaps),
            ]),
          ),
        );
      }),
    );

  add('export', 'Every measured bucket as a row of CSV: device, quantity, time, value, readings.')
    .option('--out <file>', 'a file instead of standard output')
    .action((options: Options) =>
      withLog(options, async (opened) => {
        const series = await read(opened, options, terminal);
        if (options.out === undefined) {
          for (const line of csvLines(series)) terminal.out(line);
          return;
        }
        await writeLines(options.out, csvLines(series));
        terminal.note(`wrote ${options.out}`);
      }),
    );
}

async function read({ log, topics }: Opened, options: Options, terminal: Terminal): Promise<readonly HistorySeries[]> {
  const wanted = options.series === undefined ? undefined : new Set(options.series);
  const { series } = await readHistory({
    log,
    topic: topics.history,
    signal: terminal.signal,
    ...(wanted === undefined ? {} : { only: wanted }),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.to === undefined ? {} : { to: options.to }),
  });
  return series;
}

function describe({ device, quantity, start, interval, values }: HistorySeries) {
  let empty = 0;
  let gaps = 0;
  values.forEach((value, i) => {
    if (!Number.isNaN(value)) return;
    empty += 1;
    if (i === 0 || !Number.isNaN(values[i - 1]!)) gaps += 1;
  });
  return {
    series: seriesKey(device, quantity),
    from: new Date(start).toISOString(),
    to: new Date(start + values.length * interval).toISOString(),
    interval,
    buckets: values.length - empty,
    empty,
    gaps,
  };
}

function* csvLines(series: readonly HistorySeries[]): Generator<string> {
  yield 'device,quantity,time,value,readings';
  for (const { device, quantity, start, interval, values, counts } of series) {
    const head = `${cell(device)},${cell(quantity)}`;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (Number.isNaN(value)) continue;
      yield `${head},${new Date(start + i * interval).toISOString()},${value},${counts[i] ?? ''}`;
    }
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
