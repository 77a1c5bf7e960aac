// The long form of the bridge's fuzzing: `npm run fuzz:bridge -- 50000`. Default 20,000 inputs for each parser.
import { spawn } from 'node:child_process';

const runs = process.argv[2] ?? '20000';
const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', 'src/bridges/fuzz.test.ts'], {
  stdio: 'inherit',
  env: { ...process.env, FLEETCAST_FUZZ_RUNS: runs },
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
