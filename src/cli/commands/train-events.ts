import { type Command, InvalidArgumentError } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { activate } from '../../retraining/activate.ts';
import { guideModel, publishEvents, trainEvents } from '../../retraining/event-training.ts';
import { layersOf, readLayers } from '../../service/configuration/layers-file.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLog } from '../opened.ts';
import { whole } from '../options.ts';
import { type Terminal, textTable } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly layers?: string;
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly activate?: boolean;
  readonly json?: boolean;
}

export function addTrainEvents(program: Command, terminal: Terminal): void {
  program
    .command('train-events')
    .description('Train a Sequential model on the events of the fleet to forecast the next one of each device.')
    .option('--config <file>', CONFIG_HELP)
    .option('--layers <file>', "the model as YAML or JSON (default: the configuration's, or that of the Keras guide)")
    .option('--epochs <n>', 'times that all events are gone through', whole(1), 5)
    .option('--batch <n>', 'windows a step', whole(1), 32)
    .option('--learning-rate <x>', 'of Adam', positive, 0.003)
    .option('--seed <n>', 'of the initial weights and the order', whole(0), 1)
    .option('--activate', 'put the model in use if it is better than the naive rules')
    .option('--json', 'the result as JSON')
    .action((options: Options) => train(options, terminal));
}

async function train(options: Options, terminal: Terminal): Promise<void> {
  await withLog(options, async ({ configuration, log, topics, registry, pipeline, now }) => {
    const { events } = pipeline;
    if (events === undefined) throw new FleetcastError('USAGE', 'the configuration has no section events');
    const desk = { log, topics, now };
    const named = { name: events.model };
    const configured = configuration.events?.layers;
    const spec = options.layers
      ? readLayers(options.layers, named)
      : configured
        ? layersOf(configured, named)
        : guideModel(events.codes);
    const trained = await trainEvents({
      desk,
      config: pipeline,
      spec,
      epochs: options.epochs,
      batchSize: options.batch,
      learningRate: options.learningRate,
      seed: options.seed,
      signal: terminal.signal,
      onLine: (line) => (options.json ? undefined : terminal.out(line)),
    });
    await publishEvents(desk, trained);
    const { id, accuracies, windows } = trained;
    const { model, ...naive } = accuracies;
    const [best, accuracy] = Object.entries(naive).reduce((one, other) => (other[1] > one[1] ? other : one));
    const better = model! > accuracy;
    const reason = `accuracy ${model!.toFixed(3)} against ${accuracy.toFixed(3)} of ${best}`;
    if (options.activate && better) {
      const serves = { registry, shape: { lookback: events.steps, horizon: events.codes } };
      await activate({ ...desk, ...serves, name: events.model, modelId: id, role: 'champion', reason });
    }
    const activated = options.activate === true && better;
    if (options.json) {
      terminal.out(JSON.stringify({ id, accuracies, windows, trainer: trained.artefact.training.trainer, activated }));
      return;
    }
    terminal.out('');
    terminal.out(
      textTable(
        ['forecast', 'accuracy'],
        Object.entries(accuracies).map(([name, value]) => [name, value.toFixed(4)]),
      ),
    );
    terminal.out(`${windows.test} events held out, the last in time; ${windows.train} trained on`);
    terminal.out(`trained ${id}`);
    if (activated) terminal.out(`in use from now on: ${reason}`);
    else if (options.activate) terminal.out(`not put in use: ${reason}`);
    else terminal.out(`not in use yet: --activate, or fleetcast models promote --name ${events.model}`);
  });
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('a number above 0.');
  return value;
}
