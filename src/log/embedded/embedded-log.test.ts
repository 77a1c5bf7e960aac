import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventLogContract } from '../event-log.contract.ts';
import type { EventLog } from '../event-log.ts';
import { openEmbeddedLog } from './embedded-log.ts';

eventLogContract('embedded', async () => {
  const path = mkdtempSync(join(tmpdir(), 'fleetcast-log-'));
  const logs: EventLog[] = [];
  return {
    open: async () => {
      const log = await openEmbeddedLog({ path });
      logs.push(log);
      return log;
    },
    dispose: async () => {
      for (const log of logs) await log.close();
      rmSync(path, { recursive: true });
    },
  };
});
