import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { type ReplayProgress, replay } from '../../retraining/replay.ts';
import { type Difference, verifyReplay } from '../../retraining/verify-replay.ts';
import { groupOf } from '../../service/engine/engine-options.ts';
import { pipelineOf } from '../../service/pipeline-settings.ts';
import { subtopologyGroup } from '../../topology/engine.ts';
import { CONFIG_HELP, type ConfigOption, configured } from '../configured.ts';
import { type Opened, withLogAsItIs } from '../opened.ts';
import { time } from '../options.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly from?: number;
  readonly to?: number;
  readonly model?: string;
  readonly topology?: string;
  readonly prefix?: string;
  readonly verify?: boolean;
  readonly json?: boolean;
}

export function addReplay(program: Command, terminal: Terminal): void {
  program
    .command('replay')
    .description(
      'Run the recorded input again, as fast as it goes, into topics of its own; the live ones are only read.',
    )
    .option('--config <file>', CONFIG_HELP)
    .option('--prefix <text>', 'stands before the names of the topics that are written, such as replay1.')
    .option('--from <time>', 'outputs from this ingest time on', time)
    .option('--to <time>', 'outputs before this ingest time', time)
    .option('--model <id>', 'serves from the start, instead of the models that served then')
    .option('--topology <file>', 'another configuration, whose pipeline section is used instead')
    .option('--verify', 'write nothing: compare with the live outputs, byte by byte')
    .option('--json', 'as JSON')
    .action((options: Options) => withLogAsItIs(options, (opened) => run(opened, options, terminal)));
}

async function run(opened: Opened, options: Options, terminal: Terminal): Promise<void> {
  const { log, registry, topics } = opened;
  if ((options.prefix === undefined) === (options.verify !== true)) {
    throw new FleetcastError('USAGE', 'either --prefix, for topics of its own, or --verify');
  }
  const config =
    options.topology === undefined
      ? opened.pipeline
      : { ...pipelineOf(configured({ config: options.topology })), topics, model: opened.pipeline.model };
  const model =
    options.model === undefined
      ? undefined
      : await registry.load((await registry.find(options.model)).id, terminal.signal);
  const common = {
    log,
    config,
    models: registry,
    signal: terminal.signal,
    onProgress: ({ partition, partitions, outputs }: ReplayProgress) =>
      terminal.redraw([`partition ${partition + 1} of ${partitions} · ${outputs.toLocaleString('en')} outputs`]),
    ...(model === undefined ? {} : { model }),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.to === undefined ? {} : { to: options.to }),
  };
  if (options.prefix !== undefined) {
    const result = await replay({ ...common, prefix: options.prefix });
    if (options.json) return terminal.out(JSON.stringify(result));
    for (const [topic, count] of Object.entries(result.outputs)) terminal.out(`${options.prefix}${topic}  ${count}`);
    return;
  }
  const committed = await log.committed(subtopologyGroup(groupOf(opened.configuration), 'readings'));
  const partitions = (await log.topic(topics.readings))?.partitions ?? 0;
  const until = Array.from({ length: partitions }, (_, p) => committed.get(`${topics.readings}/${p}`) ?? 0);
  const { compared, differences, cut, passed } = await verifyReplay({ ...common, until });
  if (options.json) {
    terminal.out(JSON.stringify({ identical: differences.length === 0, compared, differences, cut, passed }));
  } else {
    terminal.out(`${compared.toLocaleString('en')} outputs compared`);
    if (passed > 0) {
      terminal.out(`${passed.toLocaleString('en')} passed over: retention has removed them from the live topics`);
    }
    if (cut.length > 0) {
      terminal.out(
        `partitions ${cut.join(', ')}: retention has removed input, so that what came of it cannot be compared`,
      );
    }
  }
  if (compared === 0) {
    throw new FleetcastError('USAGE', 'nothing was compared: the pipeline has committed no outputs in that time');
  }
  const [first] = differences;
  if (first !== undefined) throw new FleetcastError('NOT_REPRODUCED', differenceText(first), { details: { ...first } });
  if (!options.json) terminal.out('identical, byte for byte');
}

function differenceText({ topic, partition, offset, cause, what }: Difference): string {
  const place = offset < 0 ? `${topic}/${partition}` : `${topic}/${partition} offset ${offset}`;
  const from = cause === undefined ? '' : `, caused by offset ${cause} of the readings`;
  return `the first record that differs is ${place}${from}: ${what}`;
}
