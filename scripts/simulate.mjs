// npm run simulate -- [--seeds N] [--seed N]: N new seeds of the deterministic simulation, or one seed with its trace.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seeds: { type: 'string' }, seed: { type: 'string' } } });
process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const env = { ...process.env };
if (values.seeds !== undefined) env.FLEETCAST_SEEDS = values.seeds;
if (values.seed !== undefined) env.FLEETCAST_SEED = values.seed;
const args = ['node_modules/vitest/vitest.mjs', 'run', 'test/simulation', '-t', 'invariants'];
process.exit(spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1);
