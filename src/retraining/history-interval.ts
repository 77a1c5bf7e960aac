import { FleetcastError } from '../errors.ts';
import { decode, schemaOf } from '../events/codec.ts';
import type { HistorySegment } from '../events/records.ts';
import type { EventLog } from '../log/event-log.ts';
import { scan } from './scan.ts';

/** Offsets at the end of each partition that are looked at: segments of every length would be among them. */
const NEWEST = 500;

/**
 * A history has one length of buckets: of another, segments would replace each other, no training would find its series,
 * and learning would end without a word.
 * @throws HISTORY_INTERVAL where the newest segments of the topic have another length than `interval`, milliseconds
 */
export async function checkHistoryInterval(log: EventLog, topic: string, interval: number): Promise<void> {
  const partitions = (await log.topic(topic))?.partitions ?? 0;
  let other: number | undefined;
  for (let partition = 0; partition < partitions; partition++) {
    const { earliest, end } = await log.offsets(topic, partition);
    for await (const { records } of scan(log, topic, partition, { from: Math.max(earliest, end - NEWEST), to: end })) {
      for (const { value } of records) {
        if (value === null || schemaOf(value) !== 'HistorySegment') continue;
        const segment = decode<HistorySegment>('HistorySegment', value);
        if (segment.interval === interval) return;
        other = segment.interval;
      }
    }
  }
  if (other === undefined) return;
  throw new FleetcastError(
    'HISTORY_INTERVAL',
    `pipeline.interval is ${interval / 1000} s, and the buckets on the topic ${topic} are ${other / 1000} s long: set it back; or give the history of the new interval a topic of its own (topics.names: {history: history-${interval / 1000}s}) and begin anew with \`fleetcast reset\``,
    { details: { topic, interval, found: other } },
  );
}
