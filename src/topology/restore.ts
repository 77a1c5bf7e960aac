import { FleetcastError, isFleetcastError } from '../errors.ts';
import type { StateSnapshot } from '../events/records.ts';
import { Sweep } from '../state/sweep.ts';
import { untilAborted } from './engine-clock.ts';
import type { Executor } from './executor.ts';
import type { Intake } from './intake.ts';
import { PartitionReader } from './partition-reader.ts';
import { readSnapshots, type StatePlace } from './state-topic.ts';
import type { TaskOptions } from './task-options.ts';

export interface RestoreHooks {
  /** Share of the snapshots that are read, from 0 to 1. */
  onSnapshots(share: number): void;
  /** Operators wait for what their restored state needs. */
  onPrepare(): void;
  /** Input records replayed, of how many. */
  onReplay(done: number, of: number): void;
}

/**
 * Brings an executor to the state as of the committed offset: snapshots, then the input after them with outputs off.
 * @param committed next input offset; undefined where the group has never committed.
 * @returns the sweep, which goes on where the task's former life left it.
 * @throws STATE_ORPHANED, STATE_LOG_CUT
 */
export async function restore(
  executor: Executor,
  intake: Intake,
  options: TaskOptions,
  committed: number | undefined,
  start: number,
  signal: AbortSignal,
  hooks: RestoreHooks,
): Promise<Sweep> {
  const { log, part, partition, clock } = options;
  const place: StatePlace = { topic: options.stateTopic, partition: options.statePartition, task: options.name };
  const sweep = new Sweep(
    executor.state,
    { task: options.name, ...(options.sweepLength === undefined ? {} : { length: options.sweepLength }) },
    { offset: start - 1, time: clock.now() },
  );
  const globals = await readKeys(executor, options, place, committed, hooks);
  const from = globals === undefined ? start : sweep.resume(discard(globals, options.discardState)) + 1;
  hooks.onPrepare();
  await untilAborted(executor.prepare(), signal);
  if (globals === undefined || signal.aborted) return sweep;

  const topic = part.sources[0]!.topic;
  const { earliest } = await log.offsets(topic, partition);
  if (from < earliest && from < committed! && !options.acceptCutLog) throw logCut(topic, partition, from, earliest);
  const first = Math.max(from, earliest);
  const limits = { maxRecords: 10_000, maxBytes: 8 * 1024 * 1024, waitMs: 1_000 };
  const reader = new PartitionReader(log, topic, partition, Math.min(first, committed!), limits, signal);
  executor.batch.replaying = true;
  for (let next = first; next < committed! && !signal.aborted; ) {
    const batch = await reader.next();
    const records = batch.records.filter(({ offset }) => offset < committed!);
    for (let i = 0; i < records.length; ) {
      i = await intake.fill(0, records, i);
      if (i < 0) return sweep;
      executor.run();
    }
    next = batch.nextOffset;
    hooks.onReplay(Math.min(next, committed!) - first, committed! - first);
  }
  executor.batch.replaying = false;
  return sweep;
}

/** Restores keys; returns the globals' record, or undefined where the state topic has nothing of this task. */
async function readKeys(
  executor: Executor,
  options: TaskOptions,
  place: StatePlace,
  committed: number | undefined,
  hooks: RestoreHooks,
): Promise<StateSnapshot | undefined> {
  const { state } = executor;
  let globals: StateSnapshot | undefined;
  for await (const { key, snapshot } of readSnapshots(options.log, place, hooks.onSnapshots)) {
    if (snapshot === undefined) {
      if (key === '') globals = undefined;
      else forget(executor, key);
      continue;
    }
    if (committed === undefined || snapshot.offset >= committed) throw foreign(options, snapshot, committed);
    if (key === '') {
      globals = snapshot;
      continue;
    }
    if (state.keyless && Object.keys(snapshot.stores).length === 0) continue;
    const row = state.restoreKey(key, discard(snapshot, options.discardState).stores);
    state.setSnapshotOffset(row, snapshot.offset);
  }
  return globals;
}

function forget(executor: Executor, key: string): void {
  const row = executor.state.keys.find(key);
  if (row === undefined) return;
  executor.state.restoreKey(key, {});
  executor.state.forget(row);
}

/** Leaves out the stores of nodes whose state the user gave up. */
function discard(snapshot: StateSnapshot, nodes: readonly string[]): StateSnapshot {
  if (nodes.length === 0) return snapshot;
  const kept = Object.entries(snapshot.stores).filter(([name]) => {
    const store = name.replace(/^(complete|current):/, '');
    return !nodes.includes(store.slice(0, store.indexOf('/')));
  });
  return { ...snapshot, stores: Object.fromEntries(kept) };
}

function foreign(options: TaskOptions, snapshot: StateSnapshot, committed: number | undefined): FleetcastError {
  return new FleetcastError(
    'STATE_ORPHANED',
    `task ${options.name} has stored state as of offset ${snapshot.offset}, but ${
      committed === undefined ? 'its group has no committed offset' : `its group has committed ${committed} only`
    }: the group was reset or the log replaced without its state`,
    { details: { task: options.name, offset: snapshot.offset, committed } },
  );
}

function logCut(topic: string, partition: number, from: number, earliest: number): FleetcastError {
  return new FleetcastError(
    'STATE_LOG_CUT',
    `${topic}/${partition} begins at offset ${earliest}, the state needs the records from ${from} on`,
    { details: { topic, partition, from, earliest } },
  );
}

/** Failures that another try cannot mend. */
export function isPermanent(error: unknown): boolean {
  return (['STATE_ORPHANED', 'STATE_LOG_CUT', 'TOPOLOGY_INVALID', 'LOG_TOPIC_UNKNOWN'] as const).some((code) =>
    isFleetcastError(error, code),
  );
}
