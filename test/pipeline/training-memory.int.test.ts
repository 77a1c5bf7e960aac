import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../bench/learning/memory.mjs', import.meta.url));
const BOUND = 60_000;

function run(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** Peak resident memory of a process that trains on a history of so many buckets, MiB, and the windows that it had. */
function training(buckets: number, most: number): { readonly peak: number; readonly windows: number } {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-training-memory-'));
  try {
    run('--part', 'fill', '--folder', folder, '--buckets', String(buckets));
    const settings = ['--threads', '1', '--steps', '40', '--most', String(most)];
    return JSON.parse(run('--part', 'train', '--folder', folder, ...settings)) as { peak: number; windows: number };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(process.platform !== 'linux')('memory of a training', () => {
  it('is that of the bound, however long the history', () => {
    const small = training(BOUND, BOUND);
    const large = training(25 * BOUND, BOUND);
    expect(large.windows).toBeGreaterThan(BOUND / 4);
    expect(large.windows).toBeLessThan(BOUND);
    expect(large.peak).toBeLessThan(small.peak + 70);
  }, 300_000);
});
