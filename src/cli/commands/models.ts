import type { Command } from 'commander';
import { servedBy } from '../../models/load.ts';
import type { ModelArtefact } from '../../models/model.ts';
import { summarise } from '../../models/summary.ts';
import { type LifecycleOptions, promote, retire, rollBack, shadow } from '../../retraining/lifecycle.ts';
import { choiceIn } from '../../retraining/model-choice.ts';
import { lifeIn } from '../../retraining/model-line.ts';
import { plainName } from '../../retraining/series-names.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { type Opened, withLog, withLogAsItIs } from '../opened.ts';
import { type Terminal, textTable } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly reason?: string;
  readonly name?: string;
  readonly json?: boolean;
}

const LINE_HELP = 'model line (default: that of the configuration; the one of events has a name of its own)';

export function addModels(program: Command, terminal: Terminal): void {
  const models = program
    .command('models')
    .description('The models on the log: list, show, promote, shadow, rollback, retire.');
  const add = (name: string, description: string) =>
    models.command(name).description(description).option('--config <file>', CONFIG_HELP);

  add('list', 'All models, and what has become of each.')
    .option('--json', 'as JSON')
    .action((options: Options) =>
      withLogAsItIs(options, async ({ registry, lines: read }) => {
        const [listed, lines] = await Promise.all([registry.list(), read()]);
        const rows = listed.map(({ id, artefact }) => ({
          id,
          name: artefact.name,
          family: artefact.family,
          status: lifeIn(lines, id)?.status ?? 'trained',
          created: new Date(artefact.createdAt).toISOString(),
          testMae: artefact.metrics['test.mae'] ?? null,
          naiveMae: artefact.metrics['test.mae.seasonal-naive'] ?? null,
        }));
        if (options.json) return terminal.out(JSON.stringify(rows));
        if (rows.length === 0) return terminal.out('no models yet: fleetcast train');
        const number = (value: number | null) => value?.toFixed(4) ?? '–';
        terminal.out(
          textTable(
            ['id', 'name', 'family', 'status', 'created', 'test MAE', 'seasonal naive'],
            rows.map((row) => [
              row.id.slice(0, 12),
              row.name,
              row.family,
              row.status,
              row.created.slice(0, 16),
              number(row.testMae),
              number(row.naiveMae),
            ]),
          ),
        );
      }),
    );

  add('show', 'One model: layers, training, metrics and its life.')
    .argument('<model>', 'its id or the beginning of it')
    .option('--json', 'as JSON')
    .action((wanted: string, options: Options) =>
      withLogAsItIs(options, async ({ registry, lines }) => {
        const { id, offset, artefact } = await registry.find(wanted);
        const life = lifeIn(await lines(), id);
        const events = (life?.events ?? []).map(({ kind, time, reason }) => ({
          kind,
          time: new Date(time).toISOString(),
          reason,
        }));
        if (options.json) {
          const { weights: _, ...rest } = artefact;
          const { set: __, ...training } = artefact.training;
          const scaler = { kind: artefact.scaler.kind, length: artefact.scaler.length };
          return terminal.out(
            JSON.stringify({
              id,
              offset,
              status: life?.status ?? 'trained',
              servedBy: servedBy(artefact),
              ...rest,
              training,
              scaler,
              events,
            }),
          );
        }
        terminal.out(summarise(artefact));
        const { training } = artefact;
        terminal.out(
          [
            '',
            `id        ${id}`,
            `status    ${life?.status ?? 'trained'}`,
            ...(life?.events.map(choiceIn).filter((text) => text !== undefined) ?? []).map(
              (text) => `choice    ${text}`,
            ),
            `trained   by ${training.trainer}, seed ${training.seed}, ${training.windows} windows`,
            `on        ${training.ranges.map(({ topic, partition, from, to }) => `${topic}/${partition} ${from}…${to - 1}`).join(', ')}`,
            `served    by ${servedBy(artefact)}`,
            `series    ${seriesOf(training.settings)}`,
            ...(training.trainEnd === 0
              ? []
              : [`labels    before ${minute(training.trainEnd)}${spanOf(training.settings)}`]),
            `parent    ${artefact.parent || 'none'}`,
            ...Object.entries(artefact.metrics).map(([name, value]) => `${name.padEnd(26)} ${value.toFixed(4)}`),
            ...events.map(({ kind, time, reason }) => `${time.slice(0, 19)}  ${kind}: ${reason}`),
          ].join('\n'),
        );
      }),
    );

  add('promote', 'Put a model in use: every partition changes at its own recorded offset.')
    .argument('<model>', 'its id or the beginning of it')
    .option('--reason <text>', 'why', 'by hand')
    .option('--name <line>', LINE_HELP)
    .action((wanted: string, options: Options) =>
      withLog(options, async (opened) => {
        terminal.out(`${await promote(lifecycle(opened, options), wanted)} is in use`);
      }),
    );

  add('shadow', 'Score a model beside the one in use, without serving its forecasts.')
    .argument('<model>', 'its id or the beginning of it')
    .option('--reason <text>', 'why', 'by hand')
    .option('--name <line>', LINE_HELP)
    .action((wanted: string, options: Options) =>
      withLog(options, async (opened) => {
        terminal.out(`${await shadow(lifecycle(opened, options), wanted)} is in shadow`);
      }),
    );

  add('rollback', 'Put the model before the present one in use again.')
    .option('--reason <text>', 'why', 'by hand')
    .option('--name <line>', LINE_HELP)
    .action((options: Options) =>
      withLog(options, async (opened) => {
        terminal.out(`${await rollBack(lifecycle(opened, options))} is in use again`);
      }),
    );

  add('retire', 'Take a model out of use; without a model in use, naive forecasts serve.')
    .argument('<model>', 'its id or the beginning of it')
    .option('--reason <text>', 'why', 'by hand')
    .option('--name <line>', LINE_HELP)
    .action((wanted: string, options: Options) =>
      withLog(options, async (opened) => {
        terminal.out(`${await retire(lifecycle(opened, options), wanted)} is retired`);
      }),
    );
}

type Settings = ModelArtefact['training']['settings'];

/** Which series it was trained on, as the request named them. */
function seriesOf({ series }: Settings): string {
  const keys = typeof series === 'string' && series !== '' ? (JSON.parse(series) as string[]) : [];
  return keys.length === 0 ? 'all' : keys.map(plainName).join(', ');
}

/** The part of the history that the request named. */
function spanOf({ from, to }: Settings): string {
  const bounds = [from ? `from ${minute(Number(from))}` : '', to ? `before ${minute(Number(to))}` : ''].filter(
    (text) => text !== '',
  );
  return bounds.length === 0 ? '' : `, of the history ${bounds.join(' and ')}`;
}

function minute(time: number): string {
  return new Date(time).toISOString().slice(0, 16);
}

function lifecycle(
  { configuration, log, topics, registry, pipeline, now }: Opened,
  { reason, name = configuration.learner.name }: Options,
): LifecycleOptions {
  const { events } = pipeline;
  const serves =
    name === events?.model
      ? { shape: { lookback: events.steps, horizon: events.codes } }
      : { shape: pipeline.shape, interval: pipeline.interval };
  return { log, topics, registry, now, name, ...serves, ...(reason === undefined ? {} : { reason }) };
}
