import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseConfiguration } from './configuration/load.ts';
import { createLogger } from './logging/logger.ts';
import { startPatiently } from './patient-start.ts';

it('fails for a taken port of the page before it touches the log and takes tasks of a service that runs', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as { port: number };
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-start-'));
  const log = join(folder, 'log');
  const text = `{broker: {embedded: {port: 0}}, http: {port: ${port}}, log: {embedded: {path: ${log}}}}`;
  const configuration = { ...parseConfiguration(text, 'test'), file: undefined, folder };
  const logger = createLogger({ level: 'silent' });
  const starting = startPatiently({ configuration, logger }, new AbortController().signal);
  await expect(starting).rejects.toMatchObject({ code: 'HTTP_FAILED' });
  expect(existsSync(log)).toBe(false);
  other.close();
  rmSync(folder, { recursive: true });
});
