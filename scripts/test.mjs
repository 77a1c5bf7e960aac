// `npm test`: installs what is missing, builds, checks types, style and import rules, then runs the tests.
//   npm test -- [vitest filters] [--require-all]
// With --require-all, or CI=true in the environment, a skipped test is a failure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installMissing, root } from './install.mjs';

const args = process.argv.slice(2);
const filters = args.filter((arg) => arg !== '--require-all');
const requireAll = args.includes('--require-all') || /^(1|true)$/i.test(process.env.CI ?? '');

installMissing();
const bin = (name) => `node_modules/${name}`;
const steps = [
  ['build', ['scripts/build.mjs']],
  ['types', [bin('typescript/bin/tsc'), '--noEmit']],
  ['style', [bin('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings', '.']],
  ['imports', [bin('dependency-cruiser/bin/dependency-cruise.mjs'), 'src', '--config', '.dependency-cruiser.cjs']],
];
const failed = [];
for (const [name, command] of steps) {
  const started = Date.now();
  const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' });
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  if (status !== 0) failed.push(name);
  if (name === 'build' && status !== 0) finish({ passed: 0, failed: 0, skipped: [] }, 1);
}

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-test-'));
const outcome = join(folder, 'outcome.json');
const vitest = spawnSync(
  process.execPath,
  [bin('vitest/vitest.mjs'), 'run', '--reporter=default', '--reporter=./scripts/outcome-reporter.mjs', ...filters],
  { cwd: root, stdio: 'inherit', env: { ...process.env, FLEETCAST_TEST_OUTCOME: outcome } },
);
let result = { passed: 0, failed: 0, skipped: [], errors: 1 };
try {
  result = JSON.parse(readFileSync(outcome, 'utf8'));
} catch {
  console.error('the test run ended without a result');
}
rmSync(folder, { recursive: true, force: true });
finish(result, vitest.status ?? 1);

function finish(counts, status) {
  for (const { name, why } of counts.skipped) console.log(`skipped: ${name}${why ? ` (${why})` : ''}`);
  if (failed.length > 0) console.log(`failed before the tests: ${failed.join(', ')}`);
  const errors = counts.errors ?? 0;
  if (errors > 0) console.log(`${errors} error${errors === 1 ? '' : 's'} outside of tests`);
  let bad = status !== 0 || failed.length > 0 || errors > 0;
  if (requireAll && counts.skipped.length > 0) {
    console.log('everything is required here (--require-all or CI=true): skipped tests count as a failure');
    bad = true;
  }
  console.log(`${counts.passed} passed, ${counts.failed + failed.length} failed, ${counts.skipped.length} skipped`);
  process.exit(bad ? 1 : 0);
}
