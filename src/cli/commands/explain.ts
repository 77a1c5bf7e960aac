import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { splitSeriesKey } from '../../events/records.ts';
import { explain } from '../../retraining/explain.ts';
import { explanationText } from '../../retraining/explanation-text.ts';
import { seriesNamed, seriesOnLog } from '../../retraining/series-names.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLogAsItIs } from '../opened.ts';
import { time } from '../options.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly origin?: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function addExplain(program: Command, terminal: Terminal): void {
  program
    .command('explain')
    .description('Where a forecast comes from: its readings, buckets, scaler and model; made again and compared.')
    .argument('<forecast>', 'its place, as partition/offset, or a series, as device/quantity (its newest forecast)')
    .option('--config <file>', CONFIG_HELP)
    .option('--origin <time>', 'with a series: the newest forecast at or before this event time', time)
    .option('--all', 'every bucket of the window, not only those that mattered most')
    .option('--json', 'as JSON')
    .action((forecast: string, options: Options) =>
      withLogAsItIs(options, async ({ log, topics, pipeline, registry }) => {
        const which = await whichOf(forecast, options.origin, () => seriesOnLog(log, topics.history, terminal.signal));
        const explanation = await explain({ log, config: pipeline, models: registry, which, signal: terminal.signal });
        terminal.out(options.json ? JSON.stringify(explanation) : explanationText(explanation, options.all ?? false));
        if (explanation.identical === false) {
          throw new FleetcastError('NOT_REPRODUCED', `the forecast differs in ${explanation.differences.join(', ')}`);
        }
      }),
    );
}

/** A series that the history does not have yet is split at its last `/`. */
async function whichOf(text: string, origin: number | undefined, known: () => Promise<string[]>) {
  const place = /^(\d+)\/(\d+)$/.exec(text);
  if (place !== null) return { partition: Number(place[1]), offset: Number(place[2]) };
  const at = text.lastIndexOf('/');
  if (at < 1) throw new FleetcastError('USAGE', `${text} is neither partition/offset nor device/quantity`);
  const key = seriesNamed(text, await known());
  const series = key === undefined ? { device: text.slice(0, at), quantity: text.slice(at + 1) } : splitSeriesKey(key);
  return origin === undefined ? series : { ...series, origin };
}
