import { type Sent, TIMES } from './topologies/lagging.ts';

/** One record or tick of an input partition, in the order of the log. */
export interface LogLine {
  readonly key: string | null;
  readonly value: unknown;
  readonly ingestTime: number;
}

interface Device {
  seen: number;
  ingestTime: number;
  /** The watermark that its room can have had when it came, or came back. */
  readonly floor: number;
}

/**
 * Records that were late and must not have been: within the grace of their own device's watermark, of a device that came
 * (or came back after the idle time) with a record that was itself within the grace of the stream's time, or that is no
 * further behind than where the room could be then.
 */
export function unexcusedLate(partitions: readonly (readonly LogLine[])[], late: ReadonlySet<number>): Sent[] {
  const { graceMs, idleMs } = TIMES;
  return partitions.flatMap((lines) => {
    const devices = new Map<string, Device>();
    let ticked = Number.NEGATIVE_INFINITY;
    return lines.flatMap(({ key, value, ingestTime }) => {
      if (key === null) {
        ticked = Math.max(ticked, (value as { tick: number }).tick);
        return [];
      }
      const sent = value as Sent;
      const known = devices.get(key);
      const device =
        known !== undefined && known.ingestTime + idleMs > ticked
          ? known
          : { seen: Number.NEGATIVE_INFINITY, ingestTime, floor: ticked - graceMs };
      devices.set(key, device);
      const excused = sent.t < Math.max(device.seen - graceMs, device.floor);
      device.seen = Math.max(device.seen, sent.t);
      device.ingestTime = Math.max(device.ingestTime, ingestTime);
      return late.has(sent.id) && !excused ? [sent] : [];
    });
  });
}
