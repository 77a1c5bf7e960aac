import { basename } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { FleetcastError, messageOf } from '../../errors.ts';
import { readBounded } from '../../models/keras/bounded-file.ts';
import { importKeras } from '../../models/keras/import.ts';
import type { KerasModel } from '../../models/keras/read.ts';
import { type KerasSample, readSample, SAMPLE_BYTES } from '../../models/keras/sample.ts';
import { servedBy } from '../../models/load.ts';
import type { Scaler } from '../../models/model.ts';
import { takesCodes } from '../../models/sequential/layers.ts';
import { planSequential } from '../../models/sequential/plan.ts';
import { summariseSequential } from '../../models/sequential/summary.ts';
import { predictorOf } from '../../models/tensorflow/predictor.ts';
import { ANY_SERIES } from '../../operators/forecast.ts';
import { evaluationTable } from '../../retraining/evaluate.ts';
import { importModel, publishImported } from '../../retraining/import-model.ts';
import { promote } from '../../retraining/lifecycle.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLog } from '../opened.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly sample?: string;
  readonly scale: Scaler;
  readonly name?: string;
  readonly note?: string;
  readonly licence?: string;
  readonly check?: boolean;
  readonly activate?: boolean;
  readonly json?: boolean;
}

/** Largest difference to Keras's own predictions that is put down to rounding, in units of the largest prediction. */
const SAMPLE_TOLERANCE = 1e-5;

export function addImportKeras(program: Command, terminal: Terminal): void {
  program
    .command('import-keras')
    .description('Take a model of Keras (.keras or .h5) onto the log, checked, so that it can be put in use.')
    .argument('<file>', 'what model.save wrote; nothing in it is ever run')
    .option('--config <file>', CONFIG_HELP)
    .option('--sample <file>', 'inputs and what Keras predicts of them, to compare: .npz with x and y, .json or .csv')
    .addOption(
      new Option(
        '--scale <kind>',
        'what values are before the model sees them: rolling (standardised by the last weeks of each series), raw, or MEAN,DEVIATION',
      )
        .argParser(scale)
        .default(scale('rolling'), 'rolling'),
    )
    .option('--name <name>', 'model line (default: that of the configuration)')
    .option('--note <text>', 'kept with the model')
    .option('--licence <text>', 'kept with the model')
    .option('--check', 'only read and compare: the log is not touched')
    .option('--activate', 'put it in use at once')
    .option('--json', 'the result as JSON')
    .action((file: string, options: Options) => run(file, options, terminal));
}

async function run(file: string, options: Options, terminal: Terminal): Promise<void> {
  const model = await importKeras(file);
  const { spec, weights, kerasVersion, format } = model;
  const difference = options.sample === undefined ? undefined : await compareSample(model, options.sample);
  const origin = `keras ${kerasVersion || 'of unknown version'}`;
  const say = (text: string) => (options.json ? undefined : terminal.out(text));
  say(summariseSequential(spec.name, planSequential(spec)));
  say('');
  if (difference !== undefined) say(`predictions agree with those of the sample to ${difference.toExponential(1)}`);
  if (options.check) {
    const checked = { id: null, origin, format, sampleDifference: difference ?? null };
    if (options.json) terminal.out(JSON.stringify(checked));
    else terminal.out(`read from ${basename(file)} (${origin}); nothing was written`);
    return;
  }
  await withLog(options, async ({ configuration, log, topics, windows, registry, pipeline, now }) => {
    const desk = { log, topics, now };
    const events = takesCodes(spec) ? pipeline.events : undefined;
    if (takesCodes(spec) && events === undefined) {
      throw new FleetcastError('USAGE', 'the model reads codes of events, and the configuration has no section events');
    }
    const shape = events ? { lookback: events.steps, horizon: events.codes, season: 1 } : pipeline.shape;
    const name = options.name ?? events?.model ?? configuration.learner.name;
    const imported = await importModel({
      desk,
      windows: { ...windows, shape },
      name,
      spec,
      weights,
      origin,
      scaler: events ? scale('raw') : options.scale,
      note: options.note ?? `imported from ${basename(file)}`,
      licence: options.licence ?? '',
    });
    const { id, artefact, evaluation } = imported;
    const own = artefact.shape;
    const fits = own.lookback === shape.lookback && own.horizon === shape.horizon;
    if (options.activate && !fits) {
      throw new FleetcastError(
        'USAGE',
        `${file} forecasts ${own.horizon} from ${own.lookback}, the configuration ${shape.horizon} from ${shape.lookback}: it cannot be put in use and was not imported`,
      );
    }
    await publishImported(desk, imported);
    const interval = events ? {} : { interval: pipeline.interval };
    if (options.activate) {
      await promote({ ...desk, registry, name, reason: 'imported by hand', shape, ...interval }, id);
    }
    if (options.json) {
      const { metrics } = artefact;
      const activated = options.activate === true;
      terminal.out(
        JSON.stringify({
          id,
          origin,
          format,
          shape: own,
          metrics,
          sampleDifference: difference ?? null,
          servedBy: servedBy(artefact),
          activated,
        }),
      );
      return;
    }
    if (evaluation !== undefined) terminal.out(`${evaluationTable(evaluation)}\n`);
    terminal.out(`imported ${id}, served by ${servedBy(artefact)}`);
    if (options.activate) terminal.out('in use from now on');
    else if (fits)
      terminal.out('not in use yet: fleetcast models promote, or models shadow to try it beside the one in use');
    else {
      terminal.out(
        `it forecasts ${own.horizon} from ${own.lookback}: as configured (${shape.horizon} from ${shape.lookback}) it cannot be served`,
      );
    }
  });
}

/** @returns the largest difference. @throws MODEL_DISAGREES, MODEL_INVALID for a sample that does not fit */
async function compareSample({ spec, weights }: KerasModel, file: string): Promise<number> {
  const open = spec.inputShape.includes(null);
  const inputs = spec.inputShape.reduce<number>((product, n) => product * (n ?? 1), 1);
  const bytes = await readBounded(file, SAMPLE_BYTES);
  const { x, y, count = open ? 1 : x.length / inputs } = sampleIn(file, bytes, inputs);
  const found = predictorOf(spec, weights).predict(x, count);
  if (found.length !== y.length) {
    throw new FleetcastError('MODEL_INVALID', `${file}: ${y.length} predictions, the model makes ${found.length}`);
  }
  let [largest, unit] = [0, 1];
  found.forEach((value, i) => {
    unit = Math.max(unit, Math.abs(y[i]!));
    const difference = Math.abs(value - y[i]!);
    if (!(difference <= largest)) largest = difference;
  });
  if (!(largest <= SAMPLE_TOLERANCE * unit)) {
    throw new FleetcastError('MODEL_DISAGREES', `predictions differ from those of ${file} by ${largest}`, {
      details: { difference: largest, tolerance: SAMPLE_TOLERANCE * unit },
    });
  }
  return largest;
}

/** @throws MODEL_INVALID naming the file */
function sampleIn(file: string, bytes: Uint8Array, inputs: number): KerasSample {
  try {
    return readSample(bytes, inputs);
  } catch (cause) {
    throw new FleetcastError('MODEL_INVALID', `${file}: ${messageOf(cause)}`, { cause });
  }
}

function scale(text: string): Scaler {
  if (text === 'rolling') return { kind: 'rolling', length: 0, series: new Map() };
  const [mean, deviation, ...rest] = text === 'raw' ? [0, 1] : text.split(',').map(Number);
  if (!Number.isFinite(mean) || !(deviation! > 0) || !Number.isFinite(deviation) || rest.length > 0) {
    throw new InvalidArgumentError('rolling, raw, or mean and deviation such as 20.5,3.2.');
  }
  return { kind: 'fixed', length: 0, series: new Map([[ANY_SERIES, { mean: mean!, deviation: deviation! }]]) };
}
