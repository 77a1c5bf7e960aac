import { type Command, InvalidArgumentError } from 'commander';
import { summarise } from '../../models/summary.ts';
import type { TrainProgress, TrainSettings } from '../../models/trainer.ts';
import { TRAINER_NAMES, type TrainerName } from '../../models/training/trainers.ts';
import { isRefusal } from '../../pipelines/activation.ts';
import { activate } from '../../retraining/activate.ts';
import { evaluationTable } from '../../retraining/evaluate.ts';
import { judgeHoldOut } from '../../retraining/gate.ts';
import { historyBound } from '../../retraining/history-bound.ts';
import { checkHistoryInterval } from '../../retraining/history-interval.ts';
import { type TrainOptions, trainOnHistory } from '../../retraining/train.ts';
import { readLayersFile } from '../../service/configuration/layers-file.ts';
import { familyOf, inputsText } from '../../service/pipeline-settings.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLog } from '../opened.ts';
import { defined, list, oneOf, time, whole } from '../options.ts';
import { seriesChosen } from '../series-option.ts';
import { durationText, progressBar, type Terminal } from '../terminal.ts';
import { windowText } from '../window-text.ts';

interface Options extends ConfigOption {
  readonly name?: string;
  readonly trainer?: TrainerName;
  readonly family?: TrainSettings['family'];
  readonly width?: number;
  readonly recurrentLayers?: number;
  readonly decoding?: TrainSettings['decoding'];
  readonly layers?: string;
  readonly maxSteps?: number;
  readonly epochs?: number;
  readonly learningRate?: number;
  readonly seed?: number;
  readonly loss?: 'mae' | 'mse' | 'huber';
  readonly scaler?: 'rolling' | 'fixed';
  readonly series?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  readonly split?: { train: number; validation: number };
  readonly trainEnd?: number;
  readonly validationEnd?: number;
  readonly testEnd?: number;
  readonly lookback?: number;
  readonly horizon?: number;
  readonly flush: boolean;
  readonly parent?: string;
  readonly activate?: boolean;
  readonly json?: boolean;
}

/** A pipeline whose history stands still for so long is not running. */
const FLUSH_PATIENCE_MS = 3_000;

export function addTrain(program: Command, terminal: Terminal): void {
  program
    .command('train')
    .description('Fit a model on the history, show its layers, and judge it on what was held out.')
    .option('--config <file>', CONFIG_HELP)
    .option('--name <name>', 'model line (default: that of the configuration)')
    .option('--trainer <name>', TRAINER_NAMES.join(', '), oneOf(TRAINER_NAMES))
    .option('--family <name>', 'segment-lstm, lstm or sequential', oneOf(['segment-lstm', 'lstm', 'sequential']))
    .option('--width <n>', 'width of the LSTM (default: that of the parent, or of the configuration)', whole(4))
    .option('--recurrent-layers <n>', 'layers of the family lstm', whole(1))
    .option('--decoding <kind>', 'of the family lstm: direct or autoregressive', oneOf(['direct', 'autoregressive']))
    .option('--layers <file>', 'the model of the family sequential, as YAML or JSON')
    .option('--max-steps <n>', 'most training steps', whole(1))
    .option('--epochs <n>', 'epochs instead of those that the recipe finds', whole(1))
    .option('--learning-rate <x>', 'instead of that of the recipe', positive)
    .option('--loss <name>', 'mae, mse or huber', oneOf(['mae', 'mse', 'huber']))
    .option('--seed <n>', 'same seed and history, same model', whole(0))
    .option('--scaler <kind>', 'rolling, or fixed: fitted on the training part', oneOf(['rolling', 'fixed']))
    .option('--series <list>', 'only these series, as device/quantity, comma between them', list)
    .option('--from <time>', 'only buckets from this time on', time)
    .option('--to <time>', 'only buckets before this time', time)
    .option('--split <shares>', 'shares of the buckets for training and validation, such as 0.7,0.15', shares)
    .option('--train-end <time>', 'labels of the training part are before this time', time)
    .option('--validation-end <time>', 'labels of the validation part are before this time', time)
    .option('--test-end <time>', 'labels of the test part are before this time', time)
    .option('--lookback <n>', 'buckets of a window (the pipeline serves only its own)', whole(2))
    .option('--horizon <n>', 'buckets to forecast (the pipeline serves only its own)', whole(1))
    .option('--no-flush', 'leave the buckets out that the running pipeline has not written yet')
    .option('--parent <model>', 'start from the weights of this model, on as many old windows as there are new ones')
    .option('--activate', 'put the model in use if it beats the naive forecasts and the model in use')
    .option('--json', 'the result as JSON')
    .action((options: Options) => train(options, terminal));
}

async function train(options: Options, terminal: Terminal): Promise<void> {
  await withLog(options, async ({ configuration, log, topics, windows, registry, line, now }) => {
    await checkHistoryInterval(log, topics.history, windows.interval);
    const { learner } = configuration;
    const shape = {
      ...windows.shape,
      ...defined({ lookback: options.lookback, horizon: options.horizon }),
    };
    const series = await seriesChosen(options.series, log, topics.history, terminal.signal);
    const { champion: championId } = await line();
    const champion = championId === '' ? undefined : await registry.load(championId, terminal.signal);
    const parentId = options.parent === undefined ? '' : (await registry.find(options.parent)).id;
    const parentModel = parentId === '' ? undefined : await registry.load(parentId, terminal.signal);
    const width = options.width ?? (parentModel?.artefact.architecture['width'] as number | undefined);
    const { recurrentLayers, decoding, maxSteps, seed } = options;
    const family = options.family ?? (options.layers === undefined ? undefined : 'sequential');
    const choice = {
      ...learner,
      ...defined({ trainer: options.trainer, family, recurrentLayers, decoding, width, maxSteps, seed }),
    };
    const layers = options.layers === undefined ? learner.layers : readLayersFile(options.layers);
    const wanted = familyOf(choice, layers, shape);
    const note = (text: string) => (options.json ? undefined : terminal.note(text));
    note(windowText(shape));
    const started = performance.now();
    const progress = new ProgressLines(terminal, options.json ?? false);
    const trained = await trainOnHistory({
      log,
      topics,
      now,
      windows: { ...windows, shape },
      name: options.name ?? learner.name,
      trainer: wanted.trainer,
      family: wanted.family,
      champion,
      bound: historyBound(learner.mostBuckets, { ...windows, shape }),
      parent: parentId,
      parentModel,
      settings: {
        ...wanted.settings,
        inputs: inputsText(configuration),
        ...defined({ epochs: options.epochs, learningRate: options.learningRate, loss: options.loss }),
      },
      ...defined({ scaler: options.scaler, series, from: options.from, to: options.to }),
      ...splitOf(options),
      flushPatienceMs: options.flush ? FLUSH_PATIENCE_MS : 0,
      signal: terminal.signal,
      onStage: (stage, detail) => note(`${stage}: ${detail}`),
      onProgress: (each) => progress.show(each),
    });
    const decision = judgeHoldOut(trained.evaluation);
    let chosen = options.activate === true && decision.accept;
    let { reason } = decision;
    if (chosen) {
      const name = options.name ?? learner.name;
      const serves = { registry, shape: windows.shape, interval: windows.interval };
      await activate({ log, topics, now, ...serves, name, modelId: trained.id, role: 'champion', reason }).catch(
        (error: unknown) => {
          if (!isRefusal(error)) throw error;
          chosen = false;
          reason = error.message;
        },
      );
    }
    const { artefact, evaluation } = trained;
    const elapsedMs = Math.round(performance.now() - started);
    if (options.json) {
      const { metrics, training, architecture } = artefact;
      terminal.out(
        JSON.stringify({
          id: trained.id,
          family: artefact.family,
          shape,
          architecture,
          metrics,
          windows: { train: training.windows, test: evaluation.windows },
          rows: evaluation.rows,
          activated: chosen,
          reason,
          elapsedMs,
        }),
      );
      return;
    }
    terminal.out(summarise(artefact));
    terminal.out('');
    if (evaluation.windows > 0) terminal.out(evaluationTable(evaluation));
    else terminal.out('no errors: no window was held out (--split leaves more to the test part, --series chooses)');
    terminal.out('');
    terminal.out(`trained ${trained.id} in ${durationText(elapsedMs)}`);
    if (chosen) terminal.out(`in use from now on: ${reason}`);
    else if (options.activate) terminal.out(`not put in use: ${reason}`);
    else terminal.out('not in use yet: --activate, or fleetcast models promote');
  });
}

function splitOf(options: Options): Pick<TrainOptions, 'split'> {
  const { split, trainEnd, validationEnd, testEnd } = options;
  if (trainEnd !== undefined) {
    const end = testEnd ?? Number.MAX_SAFE_INTEGER;
    return { split: { trainEnd, validationEnd: validationEnd ?? trainEnd, testEnd: end } };
  }
  return split === undefined ? {} : { split };
}

/** A bar on a terminal, a line for each epoch elsewhere. */
class ProgressLines {
  readonly #terminal: Terminal;
  readonly #quiet: boolean;
  #epoch = 0;

  constructor(terminal: Terminal, quiet: boolean) {
    this.#terminal = terminal;
    this.#quiet = quiet;
  }

  show(progress: TrainProgress): void {
    if (this.#quiet) return;
    const { epoch, epochs, step, steps, loss, validationLoss, remainingMs } = progress;
    const text = `epoch ${epoch} of ${epochs} · loss ${loss.toFixed(4)} · validation ${validationLoss.toFixed(4)}`;
    if (this.#terminal.interactive) {
      this.#terminal.redraw([`${progressBar(step / steps)}  ${text} · ${durationText(remainingMs)} left`]);
    } else if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#terminal.note(`${text} · ${durationText(remainingMs)} left`);
    }
  }
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('a number above 0.');
  return value;
}

function shares(text: string): { train: number; validation: number } {
  const [train, validation, ...rest] = text.split(',').map(Number);
  const valid = train! > 0 && validation! >= 0 && train! + validation! <= 1 && rest.length === 0;
  if (!valid) throw new InvalidArgumentError('two shares that make at most 1, such as 0.7,0.15.');
  return { train: train!, validation: validation! };
}
