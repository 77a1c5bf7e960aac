import type { TaskStatus } from '../topology/task-status.ts';
import type { TaskPart } from './status.ts';

/** A task as health, metrics and the page show it. */
export function taskPart(task: TaskStatus): TaskPart {
  return {
    task: task.task,
    partition: task.partition,
    state: task.phase,
    offset: task.inputs[0]?.offset ?? 0,
    lag: task.lag,
    lagMs: task.lagMs,
    restored: task.restored,
    commitAge: task.commitAgeMs ?? Number.NaN,
    stuck: task.stuck,
    error: task.error ?? '',
  };
}
