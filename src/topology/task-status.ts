/**
 * - `starting`: opening its writer.
 * - `restoring`: reading snapshots. `replaying`: running input again with outputs off.
 * - `running`: caught up or catching up. `waiting`: for something from outside that a broadcast or restored state names.
 * - `backing-off`: after a failure, before it starts again. `failed`: stopped for good, see `error`.
 * - `done`: has reached the bound it was given. `stopped`: was told to.
 */
export type TaskPhase =
  | 'starting'
  | 'restoring'
  | 'replaying'
  | 'running'
  | 'waiting'
  | 'backing-off'
  | 'failed'
  | 'done'
  | 'stopped';

export interface TaskStatus {
  readonly task: string;
  readonly subtopology: string;
  readonly partition: number;
  readonly phase: TaskPhase;
  /** Since the phase began, milliseconds. */
  readonly phaseAgeMs: number;
  /** By input topic: next offset to read as of the last commit, the log's end, and their difference. */
  readonly inputs: readonly InputStatus[];
  /** Sum of the lags in records. */
  readonly lag: number;
  /** How far the newest processed record's ingest time is behind the clock while there is a lag; 0 without one. */
  readonly lagMs: number;
  /** Milliseconds since the last commit; undefined before the first. */
  readonly commitAgeMs: number | undefined;
  readonly commits: number;
  readonly records: number;
  /** Share of the restore that is through, from 0 to 1. */
  readonly restored: number;
  readonly keys: number;
  /** Times the task was started again after a failure. */
  readonly restarts: number;
  /** There is work, or the task is not running, and for too long nothing has moved. */
  readonly stuck: boolean;
  /** The input's retention is about to cut what a restore would need. */
  readonly retentionAtRisk: boolean;
  readonly error: string | undefined;
  readonly errorCode: string | undefined;
}

export interface InputStatus {
  readonly topic: string;
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
}
