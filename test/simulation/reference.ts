import type { LogRecord, OutRecord } from '../../src/log/event-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { taskName } from '../../src/topology/engine.ts';
import { Executor } from '../../src/topology/executor.ts';
import type { TopicRun } from '../../src/topology/input-journal.ts';
import type { Subtopology } from '../../src/topology/plan.ts';
import { PARTITIONS } from './scenarios.ts';

/** One task's input in the order in which it took it. */
export interface TaskInput {
  readonly part: Subtopology;
  readonly partition: number;
  readonly records: readonly { readonly source: number; readonly record: LogRecord }[];
}

/** What a task writes when nothing disturbs it: record by record, in one go, with no log. */
export function undisturbed(group: string, { part, partition, records }: TaskInput): OutRecord[] {
  const here = { partitionOf: () => partition };
  const executor = new Executor(part, {
    task: taskName(group, part.name, partition),
    partition,
    target: ({ topic, repartition }) =>
      repartition === undefined
        ? { topic, ...here }
        : {
            topic,
            partitionOf: (key) => partitionFor(key ?? '', PARTITIONS),
            ticks: { from: partition, of: PARTITIONS, partitions: PARTITIONS },
          },
    deadLetters: { topic: 'dead-letters', ...here },
    judge: () => 'dead-letter',
  });
  const outputs: OutRecord[] = [];
  for (const [sequence, { source, record }] of records.entries()) {
    executor.batch.add(source, record, executor.batch.decode(source, record), sequence);
    executor.run();
    outputs.push(...executor.takeOutputs());
  }
  executor.close();
  return outputs;
}

/** Commits of a task with several sources, joined: each record of each input must be in them once, in order. */
export function interleaving(
  entries: ReadonlyMap<number, readonly TopicRun[]>,
  ends: ReadonlyMap<string, number>,
): TopicRun[] | string {
  const runs: TopicRun[] = [];
  const next = new Map([...ends.keys()].map((topic) => [topic, 0]));
  let sequence = 0;
  for (const [base, list] of [...entries].sort(([a], [b]) => a - b)) {
    if (base !== sequence) return `the journal goes on at ${base}, not ${sequence}`;
    for (const run of list) {
      if (next.get(run.topic) !== run.from) return `${run.topic} is taken from ${run.from}, not ${next.get(run.topic)}`;
      next.set(run.topic, run.to);
      sequence += run.to - run.from;
      runs.push(run);
    }
  }
  for (const [topic, end] of ends)
    if (next.get(topic) !== end) return `${topic} is taken up to ${next.get(topic)} of ${end}`;
  return runs;
}
