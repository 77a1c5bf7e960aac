import type { PartitionWait } from '../event-log.ts';
import { stickyAssignment } from './sticky-assignment.ts';

/**
 * Who is in a group and who holds what. Plain data, changed by the functions below inside one atomic step of a
 * `GroupTable`; every member works out the same target from it, so nobody has to lead.
 */
export interface GroupState {
  /** By member id. */
  members: Record<string, MemberEntry>;
  /** Incarnation that holds each partition, or null. */
  owners: (string | null)[];
  /** Grows whenever a partition changes hands or a writer is opened: the fence of each partition. */
  epochs: number[];
}

export interface MemberEntry {
  /** Tells two runs of one member id apart: the later one has taken over. */
  incarnation: string;
  seenAt: number;
  sessionMs: number;
}

export interface Step {
  /** False where this incarnation is no member any more. */
  readonly member: boolean;
  /** Another run has joined under the same name: this one must not come back. */
  readonly replaced: boolean;
  /** Partitions to give back. */
  readonly revoke: readonly number[];
  /** Partitions that this step has given to the member. */
  readonly acquired: readonly number[];
}

export function emptyGroup(): GroupState {
  return { members: {}, owners: [], epochs: [] };
}

/** Puts the member in; whoever had the name before is out and loses its partitions. */
export function enter(state: GroupState, id: string, entry: MemberEntry, partitions: number): void {
  const earlier = state.members[id];
  if (earlier !== undefined && earlier.incarnation !== entry.incarnation) drop(state, id);
  state.members[id] = entry;
  while (state.owners.length < partitions) {
    state.owners.push(null);
    state.epochs.push(0);
  }
}

/** Takes the member out and frees what it holds. */
export function drop(state: GroupState, id: string): void {
  const incarnation = state.members[id]?.incarnation;
  delete state.members[id];
  for (const [p, owner] of state.owners.entries()) if (owner === incarnation) free(state, p);
}

/** Takes out every member that has been silent for longer than its session. @returns true where one was. */
export function expire(state: GroupState, now: number): boolean {
  let any = false;
  for (const [id, member] of Object.entries(state.members)) {
    if (now - member.seenAt > member.sessionMs) {
      drop(state, id);
      any = true;
    }
  }
  return any;
}

/** What this member has to do next; free partitions that are its share become its own. */
export function step(state: GroupState, id: string, incarnation: string): Step {
  const entry = state.members[id];
  if (entry?.incarnation !== incarnation) {
    return { member: false, replaced: entry !== undefined, revoke: [], acquired: [] };
  }
  const names = new Map(Object.entries(state.members).map(([name, member]) => [member.incarnation, name]));
  const owners = state.owners.map((owner) => (owner === null ? undefined : names.get(owner)));
  const target = stickyAssignment(owners.length, [...names.values()], owners);
  const revoke: number[] = [];
  const acquired: number[] = [];
  for (const [p, wanted] of target.entries()) {
    if (owners[p] === id && wanted !== id) revoke.push(p);
    if (owners[p] === undefined && wanted === id) {
      state.owners[p] = incarnation;
      state.epochs[p]! += 1;
      acquired.push(p);
    }
  }
  return { member: true, replaced: false, revoke, acquired };
}

/** A holder that was silent for this share of its session may have been killed: signs of life come more often. */
const SILENT = 0.4;

/**
 * What is this member's share and still in the hands of others; of a member that holds nothing, also what silent ones
 * hold, be it nobody's share but theirs.
 * @param now undefined where members cannot die alone
 */
export function waits(state: GroupState, id: string, now: number | undefined): PartitionWait[] {
  const names = new Map(Object.entries(state.members).map(([name, member]) => [member.incarnation, name]));
  const owners = state.owners.map((owner) => (owner === null ? undefined : names.get(owner)));
  const target = stickyAssignment(owners.length, [...names.values()], owners);
  const idle = !owners.includes(id);
  return owners.flatMap((holder, partition) => {
    if (holder === undefined || holder === id) return [];
    const { seenAt, sessionMs } = state.members[holder]!;
    const silent = now !== undefined && now - seenAt > SILENT * sessionMs;
    if (target[partition] !== id && !(idle && silent)) return [];
    return [{ partition, holder, until: now === undefined ? undefined : seenAt + sessionMs }];
  });
}

/** Gives partitions back, where this incarnation still holds them. */
export function release(state: GroupState, incarnation: string, partitions: readonly number[]): void {
  for (const p of partitions) if (state.owners[p] === incarnation) free(state, p);
}

/** The epoch for a new writer, or undefined where this incarnation does not hold the partition. */
export function claim(state: GroupState, incarnation: string, partition: number): number | undefined {
  if (state.owners[partition] !== incarnation) return undefined;
  state.epochs[partition]! += 1;
  return state.epochs[partition];
}

function free(state: GroupState, partition: number): void {
  state.owners[partition] = null;
  state.epochs[partition]! += 1;
}

/** Everything that members have to react to: the state without the signs of life. */
export function signature(state: GroupState): string {
  const members = Object.entries(state.members).map(([id, member]) => [id, member.incarnation]);
  return JSON.stringify([members, state.owners, state.epochs]);
}
