import type { EventLog } from '../../log/event-log.ts';
import { DONE_KEY } from '../dead-letters/done.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { SESSION_KEY } from './known-sessions.ts';
import { NEIGHBOUR_KEY } from './neighbours.ts';

const NOT_OF_MAPPING = [DONE_KEY, SESSION_KEY, NEIGHBOUR_KEY];

/** Gives the mapping back what an earlier run has kept on the compacted topic: the last record of each key. */
export async function restoreMemory(
  log: EventLog,
  topic: { readonly name: string; readonly partitions: number },
  mapping: Mapping,
): Promise<void> {
  const last = new Map<string, Uint8Array>();
  for (let partition = 0; partition < topic.partitions; partition++) {
    const { earliest, end } = await log.offsets(topic.name, partition);
    for (let offset = earliest; offset < end; ) {
      const batch = await log.read(topic.name, partition, offset, { maxRecords: 1000, maxBytes: 4_000_000 });
      for (const { key, value } of batch.records) {
        if (key === null) continue;
        const name = Buffer.from(key).toString('utf8');
        if (NOT_OF_MAPPING.some((prefix) => name.startsWith(prefix))) continue;
        if (value === null) last.delete(name);
        else last.set(name, value);
      }
      if (batch.nextOffset <= offset) break;
      offset = batch.nextOffset;
    }
  }
  for (const [key, value] of last) mapping.restore(key, value);
}
