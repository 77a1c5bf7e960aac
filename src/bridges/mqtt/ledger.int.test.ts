import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { mosquittoProgram } from '../../../test/mosquitto.ts';

const script = fileURLToPath(new URL('../../../test/torture/bridge.mjs', import.meta.url));
const dist = process.env['FLEETCAST_DIST'] ?? fileURLToPath(new URL('../../../dist', import.meta.url));

/** The short form of `npm run torture:bridge`. */
describe.skipIf(mosquittoProgram === undefined || !existsSync(dist))(
  'the ledger (needs the package mosquitto, and a build)',
  () => {
    it('holds while bridge and broker are killed and the log fails', async () => {
      const args = [script, '--rounds', '8', '--rate', '500', '--seed', '7'];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      child.stdout.on('data', (data: Buffer) => {
        said += data.toString();
      });
      child.stderr.on('data', (data: Buffer) => {
        said += data.toString();
      });
      const code = await new Promise((resolve) => child.once('exit', resolve));
      expect(said).toMatch(/lost 0, out of order 0, twice after de-duplication 0/);
      expect(code).toBe(0);
    }, 300_000);
  },
);
