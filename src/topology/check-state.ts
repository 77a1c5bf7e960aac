import { FleetcastError } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import type { TaskState } from '../state/task-state.ts';
import { Executor } from './executor.ts';
import type { Subtopology } from './plan.ts';
import { ensureManifest, readManifest, type StoreVersions, writeParts, writeStores } from './state-manifest.ts';

export interface StateCheck {
  readonly log: EventLog;
  readonly stateTopic: string;
  /** Of the whole topology. */
  readonly group: string;
  readonly parts: readonly Subtopology[];
  /** The group that the offsets of a sub-topology are committed under, by its name. */
  readonly groupOf: (part: string) => string;
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
export async function checkState(check: StateCheck): Promise<void> {
  const { log, stateTopic, parts, groupOf, discard, now } = check;
  await ensureManifest(log, stateTopic);
  const manifest = await readManifest(log, stateTopic);
  const isKept = (store: string): boolean => !discard.includes(store.slice(0, store.indexOf('/')));
  // A group that has committed nothing has no state to lose.
  const storedOf = async (name: string): Promise<StoreVersions> => {
    const stored = manifest.stores.get(groupOf(name)) ?? {};
    return Object.keys(stored).length > 0 && (await log.committed(groupOf(name))).size > 0 ? stored : {};
  };
  const faults: string[] = [];
  const changed: { readonly name: string; readonly stores: StoreVersions | undefined }[] = [];
  for (const part of parts) {
    const { name } = part;
    const state = declaredState(part);
    const stores = state.versions();
    if (JSON.stringify(manifest.stores.get(groupOf(name))) === JSON.stringify(stores)) continue;
    changed.push({ name, stores });
    for (const [store, version] of Object.entries(await storedOf(name))) {
      if (!isKept(store)) continue;
      if (stores[store] === undefined) faults.push(`${store} belongs to no node`);
      else if (!state.reads(store, version)) {
        faults.push(`${store} has codec version ${version}, the topology has ${stores[store]} and no migration`);
      }
    }
  }
  const names = parts.map(({ name }) => name).sort();
  const known = manifest.parts.get(check.group) ?? [];
  for (const name of known.filter((name) => !names.includes(name))) {
    changed.push({ name, stores: undefined });
    const lost = Object.keys(await storedOf(name)).filter(isKept);
    if (lost.length === 0) continue;
    faults.push(
      `${lost.join(', ')} of the tasks that read the source ${name} (the first of theirs by name), which no tasks of the topology do now`,
    );
  }
  if (faults.length > 0) {
    throw new FleetcastError(
      'STATE_ORPHANED',
      `the topology does not fit the stored state of ${check.group}: ${faults.join('; ')}`,
      { details: { group: check.group, faults } },
    );
  }
  for (const { name, stores } of changed) await writeStores(log, stateTopic, groupOf(name), stores, now);
  if (known.join() !== names.join()) await writeParts(log, stateTopic, check.group, names, now);
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
