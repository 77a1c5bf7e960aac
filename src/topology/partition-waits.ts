import type { PartitionWait } from '../log/event-log.ts';

/** A partition of the engine's share that another member of its group still holds: nothing runs on it here yet. */
export interface PartitionWaitStatus extends PartitionWait {
  /** The group of the sub-topology. */
  readonly group: string;
}

/** For people: which partitions are waited for, who holds them, and until when at the latest. One line for each holder. */
export function describeWaits(waits: readonly PartitionWaitStatus[]): string[] {
  const lines = new Map<string, { partitions: number[]; wait: PartitionWaitStatus }>();
  for (const wait of waits) {
    const at = `${wait.group} ${wait.holder ?? ''}`;
    const line = lines.get(at) ?? { partitions: [], wait };
    lines.set(at, line);
    line.partitions.push(wait.partition);
  }
  return [...lines.values()].map(({ partitions, wait: { group, holder, until } }) => {
    const which = `${partitions.length > 1 ? 'partitions' : 'partition'} ${[...partitions].sort((a, b) => a - b).join(', ')}`;
    const at = until === undefined ? '' : `, at ${new Date(until).toISOString()} at the latest if it was killed`;
    const late = until === undefined ? '' : `, at ${new Date(until).toISOString()} at the latest`;
    const who =
      holder === undefined
        ? `all members of the group have to answer or be given up${late}`
        : `held by ${holder} until it gives them back${at}`;
    return `${group} waits for ${which}: ${who}`;
  });
}
