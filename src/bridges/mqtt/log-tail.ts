import { decodeRecord, schemaOf } from '../../events/codec.ts';
import type { EventLog } from '../../log/event-log.ts';

/** Records that are looked at in each partition: twice what a broker usually sends ahead, if all fall into one. */
const TAIL = 16_384;

export interface LogTail {
  /** Fingerprints: what an earlier bridge has appended and may not have acknowledged. */
  readonly prints: readonly string[];
  /** Who has spoken lately. */
  readonly devices: ReadonlySet<string>;
}

/** What the last readings of each partition say. */
export async function readTail(
  log: EventLog,
  topic: { readonly name: string; readonly partitions: number },
): Promise<LogTail> {
  const prints: string[] = [];
  const devices = new Set<string>();
  for (let partition = 0; partition < topic.partitions; partition++) {
    const { earliest, end } = await log.offsets(topic.name, partition);
    for (let offset = Math.max(earliest, end - TAIL); offset < end; ) {
      const batch = await log.read(topic.name, partition, offset, { maxRecords: 1000, waitMs: 1000 });
      for (const { value } of batch.records) {
        if (value === null || schemaOf(value) !== 'Reading') continue;
        const record = decodeRecord(value);
        if (record.type !== 'Reading') continue;
        devices.add(record.device);
        if (record.fingerprint !== '') prints.push(record.fingerprint);
      }
      if (batch.nextOffset <= offset) break;
      offset = batch.nextOffset;
    }
  }
  return { prints, devices };
}
