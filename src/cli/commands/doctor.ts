import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { messageOf } from '../../errors.ts';
import { describeBackend } from '../../models/tensorflow/backend.ts';
import { logFolder } from '../../service/open-log.ts';
import { version } from '../../service/version.ts';
import { CONFIG_HELP, type ConfigOption, configured } from '../configured.ts';
import type { Terminal } from '../terminal.ts';

interface Finding {
  readonly what: string;
  readonly state: 'ok' | 'note' | 'problem';
  readonly text: string;
}

export function addDoctor(program: Command, terminal: Terminal): void {
  program
    .command('doctor')
    .description('Say what this machine has, what is in use, and how to get the rest.')
    .option('--config <file>', CONFIG_HELP)
    .option('--json', 'as JSON')
    .action(async (options: ConfigOption & { json?: boolean }) => {
      const findings = [node(), machine(), await tensorflow(), webAssembly(), dataFolder(options)];
      if (options.json) terminal.out(JSON.stringify({ version: version(), findings }));
      else {
        terminal.out(`fleetcast ${version()}`);
        const marks = { ok: 'ok     ', note: 'note   ', problem: 'PROBLEM' };
        for (const { what, state, text } of findings) terminal.out(`${marks[state]}  ${what}: ${text}`);
      }
    });
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  const text = `${process.version} on ${process.platform} ${process.arch}`;
  return { what: 'Node.js', state: fits ? 'ok' : 'problem', text: fits ? text : `${text}; 20.19 or newer is needed` };
}

function machine(): Finding {
  const memory = `${(totalmem() / 1024 ** 3).toFixed(0)} GiB of memory`;
  return { what: 'machine', state: 'ok', text: `${availableParallelism()} processors, ${memory}` };
}

async function tensorflow(): Promise<Finding> {
  try {
    const { backend, version: tfVersion, reason } = await describeBackend();
    if (backend === 'tensorflow') {
      return { what: 'TensorFlow', state: 'ok', text: `native library through @tensorflow/tfjs-node ${tfVersion}` };
    }
    const text = `TensorFlow.js ${tfVersion} on WebAssembly, because ${reason}. For the native library (training of layers of your own, with the fused LSTM): npm run tensorflow:install in a checkout of fleetcast, with FLEETCAST_PROJECT=FOLDER for the project that uses it`;
    return { what: 'TensorFlow', state: 'note', text };
  } catch (error) {
    return { what: 'TensorFlow', state: 'problem', text: messageOf(error) };
  }
}

/** A module with one 128-bit instruction. */
const SIMD_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

function webAssembly(): Finding {
  let simd = true;
  try {
    new WebAssembly.Module(SIMD_PROBE);
  } catch {
    simd = false;
  }
  return {
    what: 'WebAssembly SIMD',
    state: simd ? 'ok' : 'problem',
    text: simd ? 'there: the kernel runs' : 'missing: the kernel cannot run on this processor',
  };
}

function dataFolder(options: ConfigOption): Finding {
  const what = 'data folder';
  const configuration = configured(options);
  const folder = logFolder(configuration);
  if (folder === undefined) return { what, state: 'ok', text: 'none: the log is Kafka' };
  let existing = folder;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    return { what, state: 'problem', text: `${existing} cannot be written to` };
  }
  const { bavail, bsize } = statfsSync(existing);
  const free = (Number(bavail) * Number(bsize)) / 1024 ** 3;
  const there = existsSync(folder) ? 'there' : 'not made yet';
  return { what, state: free < 1 ? 'problem' : 'ok', text: `${folder} (${there}), ${free.toFixed(1)} GiB free` };
}
