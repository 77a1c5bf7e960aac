import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { FleetcastError, messageOf } from '../../errors.ts';
import { TRAINER_NAMES, type TrainerName } from '../../models/training/trainers.ts';
import { backtest, backtestDetails, backtestTable } from '../../retraining/backtest.ts';
import { familyOf, inputsText } from '../../service/pipeline-settings.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLogAsItIs } from '../opened.ts';
import { defined, list, oneOf, time, whole } from '../options.ts';
import { backtestPicture } from '../picture/backtest-picture.ts';
import { seriesChosen } from '../series-option.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly start: number;
  readonly end?: number;
  readonly every: number;
  readonly holdOut: number;
  readonly trainer?: TrainerName;
  readonly series?: readonly string[];
  readonly picture?: string;
  readonly json?: boolean;
}

export function addBacktest(program: Command, terminal: Terminal): void {
  program
    .command('backtest')
    .description(
      'Retrain over the history as it would have been known at the time, with the gate on the hold-out (without trials in shadow and the guard), and compare with one model and naive forecasts.',
    )
    .option('--config <file>', CONFIG_HELP)
    .requiredOption('--start <time>', 'when the first model is trained, on what had closed by then', time)
    .option('--end <time>', 'where it ends (default: now)', time)
    .option('--every <n>', 'buckets between trainings', whole(1), 720)
    .option('--hold-out <n>', 'buckets before each training that judge it', whole(1), 240)
    .option('--trainer <name>', TRAINER_NAMES.join(', '), oneOf(TRAINER_NAMES))
    .option('--series <list>', 'only these series, as device/quantity, comma between them', list)
    .option('--picture <file>', 'also as a picture (SVG): by period, horizon step and device')
    .option('--json', 'as JSON')
    .action((options: Options) =>
      withLogAsItIs(options, async ({ configuration, log, topics, windows, now }) => {
        const { learner } = configuration;
        const choice = { ...learner, ...defined({ trainer: options.trainer }) };
        const { trainer, family, settings } = familyOf(choice, learner.layers, windows.shape);
        const series = await seriesChosen(options.series, log, topics.history, terminal.signal);
        const result = await backtest({
          log,
          topics,
          now,
          windows,
          signal: terminal.signal,
          start: options.start,
          end: options.end ?? now(),
          every: options.every,
          holdOut: options.holdOut,
          request: {
            trainer,
            family,
            settings: { ...settings, inputs: inputsText(configuration) },
            ...(series === undefined ? {} : { series }),
          },
          onPeriod: ({ from }) => terminal.note(`forecast from ${new Date(from).toISOString().slice(0, 10)}`),
        });
        terminal.out(options.json ? JSON.stringify(result) : `${backtestTable(result)}\n\n${backtestDetails(result)}`);
        if (options.picture !== undefined) {
          await writeFile(options.picture, await backtestPicture(result)).catch((cause: unknown) => {
            throw new FleetcastError('USAGE', `cannot write ${options.picture}: ${messageOf(cause)}`, { cause });
          });
          terminal.note(`wrote ${options.picture}`);
        }
      }),
    );
}
