import { type ErrorCode, FleetcastError, isFleetcastError } from '../errors.ts';
import { Sweep } from '../state/sweep.ts';
import { untilAborted } from './engine-clock.ts';
import type { Executor } from './executor.ts';
import { type InputJournal, type JournalEntry, lengthOf } from './input-journal.ts';
import type { Intake } from './intake.ts';
import { RunReader } from './run-reader.ts';
import type { StateFollower } from './state-follower.ts';
import type { TaskOptions } from './task-options.ts';

export interface RestoreHooks {
  /** Share of the snapshots that are read, from 0 to 1. */
  onSnapshots(share: number): void;
  /** The rest of the state waits for the end of another writer's transaction. */
  onHidden(): void;
  /** Operators wait for what their restored state needs. */
  onPrepare(): void;
  /** Input records replayed, of how many. */
  onReplay(done: number, of: number): void;
}

/** Where a task goes on. */
export interface Restored {
  readonly sweep: Sweep;
  /** Undefined for a task with one source. */
  readonly journal: InputJournal | undefined;
  /** Place in the input sequence of the next record. */
  readonly sequence: number;
  /** Ingest time of the newest record that the state is known to contain; 0 where there is none. */
  readonly time: number;
}

/** How often a task looks whether the rest of its state can be read. */
const HIDDEN_PAUSE_MS = 250;
const LIMITS = { maxRecords: 10_000, maxBytes: 8 * 1024 * 1024, waitMs: 1_000 };

/**
 * Brings the follower's executor to the state as of the committed offsets: snapshots, then the input after them with outputs off.
 * @param committed by source, next input offset; undefined where the group has committed none.
 * @param start by source, where the task begins or goes on.
 * @throws STATE_ORPHANED, STATE_LOG_CUT, STATE_BEHIND
 */
export async function restore(
  follower: StateFollower,
  intake: Intake,
  options: TaskOptions,
  committed: readonly (number | undefined)[],
  start: readonly number[],
  signal: AbortSignal,
  hooks: RestoreHooks,
): Promise<Restored> {
  const { part, clock } = options;
  const { executor } = follower;
  const topics = part.sources.map(({ topic }) => topic);
  const fresh = committed.every((offset) => offset === undefined);
  const pause = (): Promise<void> => {
    hooks.onHidden();
    return clock.sleep(HIDDEN_PAUSE_MS, signal);
  };
  await follower.toEnd({ pause, signal }, hooks.onSnapshots);
  const { globals, newest, journal } = follower;
  const before = journal === undefined || !journal.empty ? undefined : onlySource(committed);
  const sequence = before?.to ?? (journal === undefined ? start[0]! : journal.end);
  if (newest >= 0 && (fresh || newest >= sequence)) throw foreign(options, newest, fresh ? undefined : sequence);

  if (!signal.aborted) refuseBehind(options, follower, committed);

  const sweep = new Sweep(
    executor.state,
    {
      task: options.name,
      inputs: topics,
      ...(options.sweepLength === undefined ? {} : { length: options.sweepLength }),
    },
    { offset: sequence - 1, time: clock.now() },
  );
  const from = globals === undefined ? sequence : sweep.resume(globals) + 1;
  if (before !== undefined) journal?.adopt(before.source, from, sequence);
  hooks.onPrepare();
  await untilAborted(executor.prepare(), signal);
  const restored = { sweep, journal, sequence, time: globals === undefined ? 0 : sweep.time };
  if (globals === undefined || signal.aborted) return restored;

  const entries = journal?.entries ?? [{ base: from, runs: [{ source: 0, from, to: sequence }] }];
  if (sequence > from) hooks.onReplay(0, sequence - from);
  const last = await replay(executor, intake, options, entries, from, sequence, signal, hooks);
  return { ...restored, time: last ?? restored.time };
}

/**
 * State of which a part is missing: going on from it would lose records in silence.
 * @throws STATE_BEHIND
 */
function refuseBehind(
  { name, part }: TaskOptions,
  { globals, newest, journal }: StateFollower,
  committed: readonly (number | undefined)[],
): void {
  const behind = (what: string): FleetcastError => {
    return new FleetcastError('STATE_BEHIND', `task ${name}: ${what}`, { details: { task: name } });
  };
  if (newest >= 0 && globals === undefined)
    throw behind('it has stored state, but not the part that belongs to no key');
  for (const [source, offset] of committed.entries()) {
    const to = journal?.endOf(source);
    if (to === undefined || to === offset) continue;
    const { topic } = part.sources[source]!;
    throw behind(`its state is as of offset ${to} of ${topic}, its group has committed ${offset ?? 'none'}`);
  }
}

/** Of a task that has several sources now: the one that it had before, with its next offset; undefined for none. */
function onlySource(committed: readonly (number | undefined)[]): { source: number; to: number } | undefined {
  const known = committed.flatMap((to, source) => (to === undefined ? [] : [{ source, to }]));
  return known.length === 1 ? known[0] : undefined;
}

/**
 * Runs journal entries again, from a place in the sequence on, with outputs off.
 * @returns ingest time of the last record, undefined for none.
 */
async function replay(
  executor: Executor,
  intake: Intake,
  options: TaskOptions,
  entries: readonly JournalEntry[],
  from: number,
  to: number,
  signal: AbortSignal,
  hooks: RestoreHooks,
): Promise<number | undefined> {
  const { log, part, partition, acceptCutLog } = options;
  let last: number | undefined;
  const readers = part.sources.map(
    ({ topic }) => new RunReader(log, topic, partition, LIMITS, acceptCutLog === true, signal),
  );
  executor.batch.replaying = true;
  for (const entry of entries) {
    let base = entry.base;
    if (base + lengthOf(entry) <= from) continue;
    for (const run of entry.runs) {
      if (run.source < 0) throw sourceGone(options);
      const shift = base - run.from;
      base += run.to - run.from;
      const first = Math.max(run.from, from - shift);
      for await (const records of readers[run.source]!.read(first, run.to)) {
        for (let i = 0; i < records.length; ) {
          i = await intake.fill(run.source, records, i, shift);
          if (i < 0) return last;
          if (i < records.length || records.length >= LIMITS.maxRecords) executor.run();
        }
        last = records.at(-1)?.timestamp ?? last;
        hooks.onReplay((records.at(-1)?.offset ?? first) + shift - from, to - from);
      }
    }
    executor.run();
  }
  if (!signal.aborted) executor.batch.replaying = false;
  return last;
}

function sourceGone({ name }: TaskOptions): FleetcastError {
  return new FleetcastError(
    'STATE_ORPHANED',
    `task ${name}: its newest state needs records of a topic that no source of the topology reads any more; where the ` +
      'earlier topology has run without input until its state was written (idleSweepMs), nothing needs them',
    { details: { task: name } },
  );
}

function foreign(options: TaskOptions, stored: number, committed: number | undefined): FleetcastError {
  return new FleetcastError(
    'STATE_ORPHANED',
    `task ${options.name} has stored state as of offset ${stored}, but ${
      committed === undefined ? 'its group has no committed offset' : `its group has committed ${committed} only`
    }: the group was reset or the log replaced without its state`,
    { details: { task: options.name, offset: stored, committed } },
  );
}

/** Failures that another try cannot mend. */
export function isPermanent(error: unknown): boolean {
  return isFleetcastError(error) && PERMANENT.has(error.code);
}

const PERMANENT: ReadonlySet<ErrorCode> = new Set([
  'STATE_ORPHANED',
  'STATE_LOG_CUT',
  'TOPOLOGY_INVALID',
  'LOG_TOPIC_UNKNOWN',
  'LOG_RECORD_TOO_LARGE',
  'STATE_TOO_LARGE',
]);
