import { FleetcastError } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import type { TaskState } from '../state/task-state.ts';
import { Executor } from './executor.ts';
import type { Subtopology } from './plan.ts';
import { ensureManifest, readManifest, type StoreVersions, writeManifest } from './state-manifest.ts';

export interface StateCheck {
  readonly log: EventLog;
  readonly stateTopic: string;
  /** Sub-topologies with the groups that their offsets are committed under. */
  readonly parts: readonly { readonly part: Subtopology; readonly group: string }[];
  /** Nodes whose stored state may be dropped. */
  readonly discard: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Before anything runs: does the topology fit the state that its group has stored? Writes down what stores there are from
 * now on. A restore looks again, at every snapshot: an earlier edit may have left some behind.
 * @throws STATE_ORPHANED with every store that does not fit.
 */
export async function checkState({ log, stateTopic, parts, discard, now }: StateCheck): Promise<void> {
  await ensureManifest(log, stateTopic);
  const manifest = await readManifest(log, stateTopic);
  const faults: string[] = [];
  const changed: { readonly group: string; readonly stores: StoreVersions }[] = [];
  for (const { part, group } of parts) {
    const state = declaredState(part);
    const stores = state.versions();
    const stored = manifest.get(group);
    if (JSON.stringify(stored) === JSON.stringify(stores)) continue;
    changed.push({ group, stores });
    // A group that has committed nothing has no state to lose.
    if (stored === undefined || (await log.committed(group)).size === 0) continue;
    const kept = Object.entries(stored).filter(([name]) => !discard.includes(name.slice(0, name.indexOf('/'))));
    for (const [name, version] of kept) {
      if (stores[name] === undefined) faults.push(`${name} belongs to no node`);
      else if (!state.reads(name, version)) {
        faults.push(`${name} has codec version ${version}, the topology has ${stores[name]} and no migration`);
      }
    }
  }
  if (faults.length > 0) {
    const groups = parts.map(({ group }) => group);
    throw new FleetcastError(
      'STATE_ORPHANED',
      `the topology does not fit the stored state of ${groups.join(', ')}: ${faults.join('; ')}`,
      { details: { groups, faults } },
    );
  }
  for (const { group, stores } of changed) await writeManifest(log, stateTopic, group, stores, now);
}

/** The stores that a task of the sub-topology has; nothing is restored or run. */
function declaredState(part: Subtopology): TaskState {
  const nowhere = { topic: '', partitionOf: () => 0 };
  const executor = new Executor(part, {
    task: part.name,
    partition: 0,
    target: () => nowhere,
    deadLetters: nowhere,
    judge: () => 'fail',
  });
  executor.close();
  return executor.state;
}
