import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { exportArtefact } from '../../models/keras/export-artefact.ts';
import { CONFIG_HELP, type ConfigOption } from '../configured.ts';
import { withLogAsItIs } from '../opened.ts';
import type { Terminal } from '../terminal.ts';

export function addExportKeras(program: Command, terminal: Terminal): void {
  program
    .command('export-keras')
    .description('Write a model as a .keras file that keras.models.load_model of Keras 3 loads.')
    .argument('<model>', 'its id or the beginning of it')
    .argument('<file>', 'ends with .keras')
    .option('--config <file>', CONFIG_HELP)
    .option('--force', 'overwrite the file')
    .action((wanted: string, file: string, options: ConfigOption & { force?: boolean }) =>
      withLogAsItIs(options, async ({ registry, now }) => {
        if (!file.endsWith('.keras')) throw new FleetcastError('USAGE', `${file}: the name has to end with .keras`);
        const { id, artefact } = await registry.find(wanted);
        const bytes = await exportArtefact(artefact, now());
        await writeFile(file, bytes, { flag: options.force ? 'w' : 'wx' }).catch((cause: NodeJS.ErrnoException) => {
          throw new FleetcastError('USAGE', `${file} ${whyNotWritten(cause)}`, { cause });
        });
        const { lookback, horizon } = artefact.shape;
        terminal.out(`wrote ${id.slice(0, 12)} (${artefact.family}, ${bytes.length} bytes) to ${file}`);
        terminal.out(
          `keras.models.load_model("${file}") predicts [n, ${horizon}] from standardised windows [n, ${lookback}]`,
        );
      }),
    );
}

function whyNotWritten({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EEXIST') return 'is there already (--force overwrites it)';
  if (code === 'ENOENT') return 'cannot be written: its folder does not exist';
  return `cannot be written: ${message}`;
}
