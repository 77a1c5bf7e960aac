import type { BridgeStatus } from '../bridges/mqtt/bridge.ts';
import { describeWaits, type PartitionWaitStatus } from '../topology/partition-waits.ts';
import type { TaskStatus } from '../topology/task-status.ts';
import type { Health } from './status.ts';

export interface HealthInput {
  readonly tasks: readonly TaskStatus[];
  /** Partitions that are to come here and that others still hold. */
  readonly waiting?: readonly PartitionWaitStatus[];
  /** The group has no partition for this process, and none is to come. */
  readonly idle?: boolean;
  readonly bridge: BridgeStatus | undefined;
  /** Why the log cannot be read now: it mends by itself when the brokers are back. */
  readonly logTrouble?: string | undefined;
  /** Why the model in use cannot be served any more, as far as the learner knows. */
  readonly championRefused?: string | undefined;
  /** Wall clock, milliseconds. */
  readonly now: number;
}

/** The bridge may be without broker or log for so long before that is told. */
const TICK_LATE_MS = 15_000;

/** What keeps records from going on: red (`stuck`) where it does not mend by itself. */
export function healthOf(input: HealthInput): Health {
  const { tasks, waiting = [], idle = false, bridge, logTrouble, championRefused, now } = input;
  const stuck: string[] = [];
  const degraded: string[] = [];
  if (logTrouble !== undefined) degraded.push(`the log is away: ${logTrouble}`);
  if (championRefused !== undefined) degraded.push(`the model in use cannot be served any more: ${championRefused}`);
  const away = (task: TaskStatus): boolean => logTrouble !== undefined && task.phase !== 'failed';
  let starting =
    (tasks.length === 0 && !idle) || waiting.length > 0 || bridge === undefined || !bridge.session.subscribed;
  for (const task of tasks) {
    if (task.phase === 'failed') stuck.push(`${task.task} has failed: ${task.error ?? 'unknown'}`);
    else if (task.stuck && !away(task))
      stuck.push(`${task.task} is stuck${task.error === undefined ? '' : `: ${task.error}`}`);
    else if (task.retentionAtRisk) stuck.push(`${task.task}: the retention will soon cut what a restore needs`);
    else if (task.phase === 'backing-off')
      degraded.push(`${task.task} starts again after: ${task.error ?? 'a failure'}`);
    else if (task.phase !== 'running' && task.phase !== 'done') starting = true;
  }
  if (bridge !== undefined) {
    const waits = bridge.oldestPendingMs > TICK_LATE_MS;
    if (bridge.logDown) degraded.push('the bridge waits for the log; nothing is acknowledged');
    else if (waits) {
      const seconds = Math.floor(bridge.oldestPendingMs / 1000);
      degraded.push(`the log does not answer: the oldest message has waited for ${seconds} s`);
    }
    if (bridge.session.takenOver !== undefined) degraded.push(`the bridge: ${bridge.session.takenOver}`);
    else if (!bridge.session.connected) {
      const why = bridge.session.lastError === undefined ? '' : `: ${bridge.session.lastError}`;
      degraded.push(`the bridge is not connected to ${bridge.session.url}${why}`);
    }
    const logDown = bridge.logDown || waits || logTrouble !== undefined;
    if (bridge.lastTick !== undefined && now - bridge.lastTick > TICK_LATE_MS && !logDown) {
      stuck.push('no tick has been appended for 15 s: windows of quiet devices do not close');
    }
  }
  const status = stuck.length > 0 ? 'stuck' : degraded.length > 0 ? 'degraded' : starting ? 'starting' : 'ok';
  const problems = [...stuck, ...degraded, ...describeWaits(waiting)];
  return status === 'ok' && tasks.length === 0
    ? { status: 'idle', problems: ['idle, no partition: other processes have them all, and this one stands by'] }
    : { status, problems };
}
