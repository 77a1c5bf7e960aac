import { createRequire } from 'node:module';
import { stickyAssignment } from '../groups/sticky-assignment.ts';

/**
 * What members tell each other through the group protocol, and the leader's plan. Partitions move in two steps, as in
 * Kafka's cooperative protocol (KIP-429): the leader leaves a partition that has to move unassigned until its holder
 * has let go of it and joined again; all others stay where they are and go on meanwhile.
 */
export const PROTOCOL = 'fleetcast-sticky-1';

/** A member as the leader sees it. */
export interface Candidate {
  /** Given by the broker; new for each run. */
  readonly id: string;
  /** The name that the process goes by. */
  readonly name: string;
  /** When this run began; of two runs under one name the later one counts. */
  readonly startedAt: number;
  /** The generation in which `held` was true. */
  readonly generation: number;
  readonly held: readonly number[];
}

/** A partition that a member is to have as soon as its holder, by name, has let go of it. */
export interface Coming {
  readonly partition: number;
  readonly holder: string;
}

export interface Share {
  readonly partitions: readonly number[];
  readonly coming: readonly Coming[];
}

/** @returns the share of each member id. */
export function planAssignment(partitions: number, members: readonly Candidate[]): Map<string, Share> {
  const byName = new Map<string, Candidate>();
  for (const member of members) {
    const other = byName.get(member.name);
    if (other === undefined || later(member, other)) byName.set(member.name, member);
  }
  const active = [...byName.values()];
  const owners = new Array<Candidate | undefined>(partitions).fill(undefined);
  for (const member of active) {
    for (const p of member.held) {
      const other = owners[p];
      if (p < partitions && (other === undefined || member.generation > other.generation)) owners[p] = member;
    }
  }
  const target = stickyAssignment(
    partitions,
    active.map((member) => member.id),
    owners.map((owner) => owner?.id),
  );
  const result = new Map(members.map(({ id }) => [id, { partitions: [] as number[], coming: [] as Coming[] }]));
  for (const [partition, id] of target.entries()) {
    const owner = owners[partition];
    const { partitions, coming } = result.get(id)!;
    if (owner === undefined || owner.id === id) partitions.push(partition);
    else coming.push({ partition, holder: owner.name });
  }
  return result;
}

function later(a: Candidate, b: Candidate): boolean {
  return a.startedAt > b.startedAt || (a.startedAt === b.startedAt && a.id > b.id);
}

interface Coding {
  MemberMetadata: {
    encode(data: { version: number; topics: string[]; userData: Buffer }): Buffer;
    decode(bytes: Buffer): { userData: Buffer };
  };
  MemberAssignment: {
    encode(data: { version: number; assignment: Record<string, number[]>; userData: Buffer }): Buffer;
    decode(bytes: Buffer): { assignment: Record<string, number[]>; userData: Buffer | null } | null;
  };
}

const { MemberMetadata, MemberAssignment } = createRequire(import.meta.url)(
  'kafkajs/src/consumer/assignerProtocol',
) as Coding;

export function encodeMember(topics: readonly string[], member: Omit<Candidate, 'id'>): Buffer {
  return MemberMetadata.encode({ version: 1, topics: [...topics], userData: Buffer.from(JSON.stringify(member)) });
}

export function decodeMember(id: string, bytes: Buffer): Candidate {
  const member = JSON.parse(MemberMetadata.decode(bytes).userData.toString()) as Omit<Candidate, 'id'>;
  return { ...member, id };
}

export function encodeAssignment(topics: readonly string[], { partitions, coming }: Share): Buffer {
  const assignment = Object.fromEntries(topics.map((topic) => [topic, [...partitions]]));
  const userData = coming.length === 0 ? Buffer.alloc(0) : Buffer.from(JSON.stringify(coming));
  return MemberAssignment.encode({ version: 1, assignment, userData });
}

/** A leader of an earlier version does not say what is to come. */
export function decodeAssignment(bytes: Buffer): Share {
  const decoded = bytes.length === 0 ? null : MemberAssignment.decode(bytes);
  if (decoded === null) return { partitions: [], coming: [] };
  const { assignment, userData } = decoded;
  const coming = userData === null || userData.length === 0 ? [] : (JSON.parse(userData.toString()) as Coming[]);
  return { partitions: Object.values(assignment)[0] ?? [], coming };
}
