import type { PartitionPlace } from '../log/event-log.ts';
import type { TaskOptions } from './task-options.ts';

/** All partitions that a task may write to. */
export function taskWrites({
  part,
  partition,
  target,
  deadLetters,
  stateTopic,
  statePartition,
}: TaskOptions): PartitionPlace[] {
  const sinks = part.nodes.flatMap((node) => {
    if (node.kind !== 'sink') return [];
    const { topic, ticks, partitionOf } = target(node, partition);
    if (ticks === undefined) return [{ topic, partition: partitionOf(null) }];
    return Array.from({ length: ticks.partitions }, (_, to) => ({ topic, partition: to }));
  });
  const own = [
    { topic: deadLetters.topic, partition: deadLetters.partitionOf(null) },
    { topic: stateTopic, partition: statePartition },
  ];
  const places = new Map([...sinks, ...own].map((place) => [`${place.topic}/${place.partition}`, place]));
  return [...places.values()];
}
