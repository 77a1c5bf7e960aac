import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { type Evaluation, evaluate, evaluationTable } from '../../retraining/evaluate.ts';
import { historyRanges } from '../../retraining/history-reader.ts';
import { requestedHistory } from '../../retraining/train.ts';
import { requestedSet } from '../../retraining/training-job.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { type Opened, withLogAsItIs } from '../opened.ts';
import { list, oneOf, time } from '../options.ts';
import { seriesChosen } from '../series-option.ts';
import { type Terminal, textTable } from '../terminal.ts';
import { windowText } from '../window-text.ts';

interface Options extends ConfigOption {
  readonly series?: readonly string[];
  readonly part: 'train' | 'validation' | 'test';
  readonly testFrom?: number;
  readonly testTo?: number;
  readonly bySteps?: boolean;
  readonly json?: boolean;
}

export function addEvaluate(program: Command, terminal: Terminal): void {
  program
    .command('evaluate')
    .description('The errors of a model on a part of the history, beside last value and seasonal naive.')
    .argument('[model]', 'its id or the beginning of it (default: the model in use)')
    .option('--config <file>', CONFIG_HELP)
    .option(
      '--part <name>',
      'train, validation or test, as they were split',
      oneOf(['train', 'validation', 'test']),
      'test',
    )
    .option('--series <list>', 'only these series, as device/quantity, comma between them', list)
    .option('--test-from <time>', 'the test part begins here instead of where it was split', time)
    .option('--test-to <time>', 'and ends here', time)
    .option('--by-steps', 'errors by horizon step too')
    .option('--json', 'as JSON')
    .action((model: string | undefined, options: Options) =>
      withLogAsItIs(options, (opened) => evaluateModel(opened, model, options, terminal)),
    );
}

async function evaluateModel(
  opened: Opened,
  wanted: string | undefined,
  options: Options,
  terminal: Terminal,
): Promise<void> {
  const { log, topics, windows, registry, line } = opened;
  const id = wanted ?? (await line()).champion;
  if (id === '') throw new FleetcastError('MODEL_UNKNOWN', 'no model is in use: name one, or train one first');
  const listed = await registry.find(id);
  const served = await registry.load(listed.id, terminal.signal);
  const { shape, interval, training } = served.artefact;
  const series = await seriesChosen(options.series, log, topics.history, terminal.signal);
  const ranges = await historyRanges(log, topics.history);
  const history = await requestedHistory(
    { log, topics },
    {
      ranges,
      series: series ?? [],
      from: null,
      to: null,
    },
  );
  // What came after the training is test too: nothing of it was seen.
  const borders = {
    trainEnd: Math.min(training.trainEnd, options.testFrom ?? Number.MAX_SAFE_INTEGER),
    validationEnd: options.testFrom ?? training.validationEnd,
    testEnd: options.testTo ?? Number.MAX_SAFE_INTEGER,
  };
  const set = requestedSet(history, { ...windows, shape, interval }, { scaler: 'rolling', split: borders }, served);
  const name = listed.id.slice(0, 12);
  const result = evaluate(set, options.part, new Map([[name, served.model.forecast.bind(served.model)]]));
  if (options.json) {
    terminal.out(JSON.stringify({ id: listed.id, part: options.part, borders, ...result }));
    return;
  }
  terminal.out(windowText(shape));
  terminal.out(`${options.part} part · ${history.length} series`);
  if (result.windows === 0) {
    throw new FleetcastError('TRAINING_TOO_LITTLE_DATA', `the ${options.part} part holds no complete window`);
  }
  terminal.out(evaluationTable(result));
  if (options.bySteps) terminal.out(`\n${stepTable(result)}`);
}

function stepTable({ rows }: Evaluation): string {
  const steps = rows[0]?.maeByStep ?? [];
  return textTable(
    ['step', ...rows.map(({ name }) => `MAE ${name}`)],
    steps.map((_, i) => [String(i + 1), ...rows.map(({ maeByStep }) => (maeByStep[i] ?? Number.NaN).toFixed(4))]),
  );
}
