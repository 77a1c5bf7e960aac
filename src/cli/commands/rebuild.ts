import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { rebuild } from '../../retraining/rebuild.ts';
import type { TrainingHooks } from '../../retraining/training-job.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLogAsItIs } from '../opened.ts';
import { progressBar, type Terminal } from '../terminal.ts';

export function addRebuild(program: Command, terminal: Terminal): void {
  program
    .command('rebuild')
    .description('Train a model again from the offsets, seed and settings that it records, and compare the weights.')
    .argument('<model>', 'its id or the beginning of it')
    .option('--config <file>', CONFIG_HELP)
    .option('--json', 'as JSON')
    .action((wanted: string, options: ConfigOption & { json?: boolean }) =>
      withLogAsItIs(options, async ({ log, topics, registry, pipeline }) => {
        const { id } = await registry.find(wanted);
        const served = await registry.load(id, terminal.signal);
        const hooks: TrainingHooks = {
          signal: terminal.signal,
          onProgress: ({ step, steps, epoch, epochs }) =>
            terminal.redraw([`${progressBar(step / steps)}  epoch ${epoch} of ${epochs}`]),
        };
        const rebuilt = await rebuild({ log, topics }, served, registry, hooks, pipeline.statics);
        if (options.json) terminal.out(JSON.stringify({ id, ...rebuilt }));
        if (!rebuilt.identical) throw new FleetcastError('NOT_REPRODUCED', `${id}: ${rebuilt.difference}`);
        if (!options.json)
          terminal.out(`${id}: all ${rebuilt.weights.toLocaleString('en')} weights have the same bits`);
      }),
    );
}
