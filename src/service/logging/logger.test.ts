import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLogger } from './logger.ts';

it('writes one JSON line an event, without secrets', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-log-'));
  try {
    const file = join(folder, 'deep', 'fleetcast.log');
    const logger = createLogger({ level: 'info', file });
    logger.debug('not written');
    logger.info({ broker: { url: 'mqtt://a', password: 'hunter2' }, token: 'hunter2' }, 'connected');
    logger.error({ err: new Error('no route') }, 'failed');
    const text = readFileSync(file, 'utf8');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ level: 'info', msg: 'connected', broker: { url: 'mqtt://a' } });
    expect(lines[1]).toMatchObject({ level: 'error', err: { message: 'no route' } });
    expect(text).not.toContain('hunter2');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
