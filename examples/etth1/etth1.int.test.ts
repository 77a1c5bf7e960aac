import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { dataFile } from '../../test/data-folder.ts';
import { mosquittoProgram } from '../../test/mosquitto.ts';

const file = dataFile('ett/ETTh1.csv');
const missing = file === undefined ? ' (no test data)' : mosquittoProgram === undefined ? ' (no Mosquitto)' : '';

/** The first four months of the example: everything that it checks holds for a shorter run as well. */
describe.skipIf(missing !== '')(`ETTh1 through Mosquitto${missing}`, () => {
  it('accounts for every row and beats the naive forecasts', { timeout: 300_000 }, () => {
    const script = fileURLToPath(new URL('run.mjs', import.meta.url));
    const sizes = ['--rows', '2880', '--train-rows', '1700', '--width', '32', '--steps', '500', '--json'];
    const run = spawnSync(process.execPath, [script, file!, ...sizes], { encoding: 'utf8' });
    expect(run.stderr).toBe('');
    const result = JSON.parse(run.stdout) as {
      checks: { name: string; holds: boolean }[];
      scores: { windows: number; models: Record<string, number> };
    };
    expect(result.checks.filter(({ holds }) => !holds)).toEqual([]);
    expect(result.checks.length).toBe(5);
    expect(result.scores.windows).toBeGreaterThan(7 * 500);
    // By the LSTM that was trained, or by the naive forecast that the guard keeps for a series that it suits better.
    const models = Object.keys(result.scores.models);
    expect(models.some((model) => /^[0-9a-f]+$/.test(model))).toBe(true);
    expect(
      models.filter(
        (model) => !/^[0-9a-f]+$/.test(model) && !['last-value', 'seasonal-naive', 'naive-mix'].includes(model),
      ),
    ).toEqual([]);
  });
});
