import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const built = existsSync(new URL('../../dist/cli/main.js', import.meta.url));

describe.skipIf(!built)('the next event of a machine, by the command line (the build is missing)', () => {
  it('is served after training, better than naive, and replayed to the byte', { timeout: 300_000 }, () => {
    const script = fileURLToPath(new URL('run.mjs', import.meta.url));
    const run = spawnSync(process.execPath, [script, '--events', '2400', '--epochs', '4', '--json'], {
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    const { checks, trained } = JSON.parse(run.stdout) as {
      checks: { name: string; holds: boolean }[];
      trained: { activated: boolean };
    };
    expect(trained.activated).toBe(true);
    expect(checks).toHaveLength(3);
    expect(checks.filter(({ holds }) => !holds)).toEqual([]);
  });
});
