import type { ErrorCode } from '../../errors.ts';
import type { TaskStatus } from '../task-status.ts';

/** What is known of one thread: for the status of its tasks. */
export interface ThreadView {
  readonly number: number;
  /** `down`: crashed, and to be started again. `failed`: crashed or refused for good. `ended`: as it was told to. */
  readonly state: 'up' | 'down' | 'failed' | 'ended';
  /** Tasks that it told of last while it was up; of a thread that is not, the ones it had. */
  readonly tasks: readonly TaskStatus[];
  /** Tasks that a crash took away and that no thread has told of since. */
  readonly lost: readonly TaskStatus[];
  /** When the thread went down, and when it came back after that; by the clock of the engine. */
  readonly downAt: number;
  readonly backAt: number;
  readonly heardAt: number;
  /** Everything was done: it has nothing more to tell. */
  readonly finished: boolean;
  readonly error: string | undefined;
  readonly errorCode: ErrorCode | undefined;
}

/**
 * The tasks of all threads. What a thread had when it crashed stays to be seen until a thread of this process has it
 * again: as backing off while the thread is to start again, as stuck when that takes longer than `stuckMs`, as failed
 * when it has been given up. A thread that came back has `stuckMs` to be given its tasks again; after that the group has
 * given them to another process.
 */
export function statusOf(threads: readonly ThreadView[], now: number, stuckMs: number): TaskStatus[] {
  return threads.flatMap((thread) => [...ownTasks(thread, now, stuckMs), ...lostTasks(thread, now, stuckMs)]);
}

function ownTasks(thread: ThreadView, now: number, stuckMs: number): readonly TaskStatus[] {
  const { number, state, tasks, heardAt, finished } = thread;
  if (state === 'ended') {
    return tasks.map((task) => (task.phase === 'done' ? task : { ...task, phase: 'stopped', stuck: false }));
  }
  const silentMs = now - heardAt;
  if (state !== 'up' || silentMs <= stuckMs || finished) return state === 'up' ? tasks : [];
  const error = `thread ${number} has not been heard of for ${silentMs} ms`;
  // It may hang before it has told of any task.
  const known = tasks.length > 0 ? tasks : [{ ...NOTHING, task: `thread ${number}`, phaseAgeMs: silentMs }];
  return known.map((task) => ({ ...task, stuck: true, error: task.error ?? error }));
}

function lostTasks(
  { number, state, lost, downAt, backAt, error, errorCode }: ThreadView,
  now: number,
  stuckMs: number,
): readonly TaskStatus[] {
  if (state === 'ended') return [];
  const back = state === 'up';
  if (back && now - backAt > stuckMs) return [];
  const phase = back ? 'starting' : state === 'failed' ? 'failed' : 'backing-off';
  const phaseAgeMs = now - (back ? backAt : downAt);
  const stuck = state === 'failed' || now - downAt > stuckMs;
  const fate = { phase, phaseAgeMs, stuck, error, errorCode } as const;
  const rows = lost.map((task) => {
    return {
      ...task,
      ...fate,
      commitAgeMs: task.commitAgeMs === undefined ? undefined : task.commitAgeMs + now - downAt,
    };
  });
  // A thread that is gone for good, or has told of nothing yet, shows as itself.
  if (state === 'failed' || (state === 'down' && rows.length === 0)) {
    rows.push({ ...NOTHING, ...fate, task: `thread ${number}`, commitAgeMs: undefined });
  }
  return rows;
}

const NOTHING: TaskStatus = {
  task: '',
  subtopology: '',
  partition: -1,
  phase: 'starting',
  phaseAgeMs: 0,
  inputs: [],
  lag: 0,
  lagMs: 0,
  commitAgeMs: undefined,
  commits: 0,
  records: 0,
  restored: 0,
  keys: 0,
  restarts: 0,
  stuck: true,
  retentionAtRisk: false,
  error: undefined,
  errorCode: undefined,
};
