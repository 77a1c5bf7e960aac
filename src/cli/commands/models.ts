import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { summarise } from '../../models/summary.ts';
import { activate } from '../../retraining/activate.ts';
import { activationRecords, eventRecord, publish } from '../../retraining/publisher.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLog } from '../opened.ts';
import { type Terminal, textTable } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly reason?: string;
  readonly json?: boolean;
}

export function addModels(program: Command, terminal: Terminal): void {
  const models = program.command('models').description('The models on the log: list, show, promote, rollback, retire.');
  const add = (name: string, description: string) =>
    models.command(name).description(description).option('--config <file>', CONFIG_HELP);

  add('list', 'All models, and what has become of each.')
    .option('--json', 'as JSON')
    .action((options: Options) =>
      withLog(options, async ({ registry, line }) => {
        const [listed, { models: lives }] = await Promise.all([registry.list(), line()]);
        const rows = listed.map(({ id, artefact }) => ({
          id,
          name: artefact.name,
          family: artefact.family,
          status: lives.get(id)?.status ?? 'trained',
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
      withLog(options, async ({ registry, line }) => {
        const { id, offset, artefact } = await registry.find(wanted);
        const life = (await line()).models.get(id);
        const events = (life?.events ?? []).map(({ kind, time, reason }) => ({
          kind,
          time: new Date(time).toISOString(),
          reason,
        }));
        if (options.json) {
          const { weights: _, ...rest } = artefact;
          const scaler = { kind: artefact.scaler.kind, length: artefact.scaler.length };
          return terminal.out(
            JSON.stringify({ id, offset, status: life?.status ?? 'trained', ...rest, scaler, events }),
          );
        }
        terminal.out(summarise(artefact));
        const { training } = artefact;
        terminal.out(
          [
            '',
            `id        ${id}`,
            `status    ${life?.status ?? 'trained'}`,
            `trained   by ${training.trainer}, seed ${training.seed}, ${training.windows} windows`,
            `on        ${training.ranges.map(({ topic, partition, from, to }) => `${topic}/${partition} ${from}…${to - 1}`).join(', ')}`,
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
    .action((wanted: string, options: Options) =>
      withLog(options, async ({ log, topics, registry, pipeline, now }) => {
        const { id, artefact } = await registry.find(wanted);
        const { lookback, horizon } = pipeline.shape;
        if (artefact.shape.lookback !== lookback || artefact.shape.horizon !== horizon) {
          throw new FleetcastError(
            'MODEL_INVALID',
            `the model forecasts ${artefact.shape.horizon} buckets from ${artefact.shape.lookback}, the pipeline ${horizon} from ${lookback}`,
          );
        }
        const reason = options.reason ?? 'by hand';
        await activate({ log, topics, now, name: artefact.name, modelId: id, role: 'champion', reason });
        terminal.out(`${id} is in use`);
      }),
    );

  add('rollback', 'Put the model before the present one in use again.')
    .option('--reason <text>', 'why', 'by hand')
    .action((options: Options) =>
      withLog(options, async ({ configuration, log, topics, line, now }) => {
        const { previous } = await line();
        if (previous === '')
          throw new FleetcastError('MODEL_UNKNOWN', 'there was no model in use before the present one');
        const { name } = configuration.learner;
        const reason = options.reason ?? 'by hand';
        await activate({ log, topics, now, name, modelId: previous, role: 'champion', kind: 'rolled_back', reason });
        terminal.out(`${previous} is in use again`);
      }),
    );

  add('retire', 'Take a model out of use; without a model in use, naive forecasts serve.')
    .argument('<model>', 'its id or the beginning of it')
    .option('--reason <text>', 'why', 'by hand')
    .action((wanted: string, options: Options) =>
      withLog(options, async ({ log, topics, registry, line, now }) => {
        const { id, artefact } = await registry.find(wanted);
        const { champion, challenger } = await line();
        const reason = options.reason ?? 'by hand';
        const { name } = artefact;
        const desk = { log, topics, now };
        const role = id === champion ? 'champion' : id === challenger ? 'challenger' : undefined;
        const time = now();
        const records = [eventRecord(topics, { name, kind: 'retired', modelId: id, time, reason }, {})];
        if (role !== undefined) {
          records.push(...(await activationRecords(desk, { name, modelId: '', role, time, reason })));
        }
        await publish(desk, records);
        terminal.out(`${id} is retired`);
      }),
    );
}
