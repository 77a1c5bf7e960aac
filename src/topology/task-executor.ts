import type { Counts } from './counts.ts';
import { Executor } from './executor.ts';
import type { Judge } from './poison.ts';
import type { TaskOptions } from './task-options.ts';

export function taskExecutor(options: TaskOptions, judge: Judge, counts: Counts): Executor {
  const { name, part, partition, target, deadLetters } = options;
  return new Executor(part, {
    task: name,
    partition,
    target: (sink) => target(sink, partition),
    deadLetters,
    judge,
    maxRecordBytes: options.log.maxRecordBytes,
    counts,
  });
}
