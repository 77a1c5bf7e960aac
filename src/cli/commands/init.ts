import { existsSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { FleetcastError, messageOf } from '../../errors.ts';
import { exampleConfiguration } from '../../service/configuration/example.ts';
import { CONFIG_FILE } from '../configured.ts';
import type { Terminal } from '../terminal.ts';

export function addInit(program: Command, terminal: Terminal): void {
  program
    .command('init')
    .description('Write a commented example of the configuration.')
    .argument('[file]', 'where to write it; - for standard output', CONFIG_FILE)
    .option('--force', 'write over a file that exists')
    .action((file: string, options: { force?: boolean }) => {
      const text = exampleConfiguration();
      if (file === '-') return terminal.out(text.trimEnd());
      if (existsSync(file) && !options.force) {
        throw new FleetcastError('USAGE', `${file} exists; --force writes over it`);
      }
      try {
        writeFileSync(file, text);
      } catch (cause) {
        throw new FleetcastError('USAGE', `cannot write ${file}: ${messageOf(cause)}`, { cause });
      }
      terminal.note(`wrote ${file}; start with: fleetcast run --config ${file}`);
    });
}
