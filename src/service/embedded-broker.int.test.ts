import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../test/torture/embedded.mjs', import.meta.url));
const dist = process.env['FLEETCAST_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url));

/** The short form of `npm run torture:embedded`. */
describe.skipIf(!existsSync(dist))('the ledger of the embedded broker', () => {
  it('holds while the service is killed', async () => {
    const args = [script, '--rounds', '3', '--seed', '7'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        said += data.toString();
      });
    }
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect(said).toMatch(/lost 0, out of order 0/);
    expect(code).toBe(0);
  }, 300_000);
});
