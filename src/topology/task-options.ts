import type { EventLog, GroupMember } from '../log/event-log.ts';
import type { EngineClock } from './engine-clock.ts';
import type { Subtopology } from './plan.ts';
import type { SinkTarget } from './sink-runner.ts';
import type { SinkNode } from './topology.ts';

/**
 * Bounds of micro-batches and commits. A task that has caught up commits each micro-batch at once; one that is behind
 * puts several into one commit, because a commit costs a write to the disk.
 */
export interface BatchBounds {
  /** Most input records. Default 2,000. */
  readonly maxRecords?: number;
  /** About how many bytes of input. Default 8 MiB. */
  readonly maxBytes?: number;
  /** Most input records of one commit. Default 10,000. */
  readonly commitRecords?: number;
  /** Longest time from the first micro-batch of a commit to the commit, milliseconds. Default 50. */
  readonly commitMs?: number;
  /** How long one poll of a quiet input waits, milliseconds. Default 250; a new record ends the wait at once. */
  readonly pollMs?: number;
  /** How long to gather more after the first record, milliseconds. Default 0: what is there is taken. */
  readonly lingerMs?: number;
}

/** What a task is given by the engine. */
export interface TaskOptions {
  readonly log: EventLog;
  readonly member: Pick<GroupMember, 'openWriter'>;
  readonly part: Subtopology;
  readonly partition: number;
  /** Unique among everything that shares the state topic. */
  readonly name: string;
  readonly stateTopic: string;
  readonly statePartition: number;
  readonly target: (sink: SinkNode, partition: number) => SinkTarget;
  readonly deadLetters: SinkTarget;
  /** Where a group without committed offsets begins. */
  readonly startFrom: 'earliest' | 'latest';
  /** Offset of an input topic before which the task ends; undefined where there is none (yet). */
  readonly until: (topic: string) => number | undefined;
  readonly batch: BatchBounds;
  readonly sweepLength: number | undefined;
  /** Nodes whose stored state may be dropped at a restore. */
  readonly discardState: readonly string[];
  /** Restore although the log has lost input that the replay needs. */
  readonly acceptCutLog: boolean;
  /** Without any input for so long, a task writes what its sweep has left, so that a restore has nothing to replay. */
  readonly idleSweepMs: number;
  /** Nothing has moved for so long: the task counts as stuck. */
  readonly stuckMs: number;
  /** First and longest pause after a failure. */
  readonly backoffMs: readonly [number, number];
  readonly clock: EngineClock;
  readonly onEvent: (event: TaskEvent) => void;
}

/** What a task tells: for logs. */
export interface TaskEvent {
  readonly kind:
    | 'started'
    | 'restored'
    | 'failed'
    | 'backing-off'
    | 'done'
    | 'stopped'
    | 'waiting'
    | 'waited'
    | 'not-purged'
    | 'retention';
  readonly task: string;
  readonly message: string;
  readonly error?: unknown;
}
