import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STATION } from '../../src/cli/demo/fleet.ts';
import { SEATTLE_START } from '../../src/cli/demo/seattle.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const HOUR = 3_600_000;
const run = promisify(execFile);

interface Summary {
  readonly readings: number;
  readonly forecasts: number;
  readonly drops: readonly { readonly reason: string }[];
}

describe('the demo as its own process', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fleetcast-demo-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const demo = async (...more: string[]): Promise<Summary> => {
    const { stdout } = await run(process.execPath, [MAIN, 'demo', '--folder', join(folder, 'demo'), '--json', ...more]);
    return JSON.parse(stdout) as Summary;
  };

  it('ends by itself with a summary, and goes on from its log, also after kill -9', async () => {
    const first = await demo('--for', '4s');
    expect(first.readings).toBeGreaterThan(100);
    expect(first.forecasts).toBeGreaterThan(100);

    const killed = spawn(process.execPath, [MAIN, 'demo', '--folder', join(folder, 'demo')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let notes = '';
    killed.stderr.on('data', (text: Buffer) => {
      notes += text.toString('utf8');
    });
    await expect.poll(() => notes, { timeout: 60_000 }).toContain('page: http://127.0.0.1:');
    expect(notes).toMatch(/going on from hour [1-9]/);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const gone = new Promise((resolve) => killed.once('exit', resolve));
    killed.kill('SIGKILL');
    await gone;

    const last = await demo('--for', '3s');
    expect(last.readings).toBeGreaterThan(100);

    // The station has no faults: every hour of it is on the log, whatever happened between.
    const config = join(folder, 'demo', 'fleetcast.yaml');
    const tail = await run(process.execPath, [MAIN, 'tail', 'readings', '--config', config, '--from-start'], {
      maxBuffer: 256 * 1024 * 1024,
    });
    const times = new Set<number>();
    for (const line of tail.stdout.trim().split('\n')) {
      const { key, value } = JSON.parse(line) as { key: string; value: { time: number } };
      if (key === STATION) times.add(value.time);
    }
    expect(times.size).toBeGreaterThan(30);
    for (let hour = 0; hour < times.size; hour++)
      expect(times.has(SEATTLE_START + hour * HOUR), `hour ${hour}`).toBe(true);

    const fresh = await demo('--fresh', '--for', '2s');
    expect(fresh.readings).toBeLessThan(first.readings + last.readings);
  }, 300_000);

  it('refuses a folder that is not its own', async () => {
    writeFileSync(join(folder, 'mine.txt'), 'mine');
    await expect(run(process.execPath, [MAIN, 'demo', '--folder', folder, '--for', '1s'])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error DATA_FOLDER_DAMAGED: .*not the demo's/m),
    });
  });
});
