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

/** @returns partitions of each member id. */
export function planAssignment(partitions: number, members: readonly Candidate[]): Map<string, number[]> {
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
  const result = new Map<string, number[]>(members.map((member) => [member.id, []]));
  for (const [p, id] of target.entries()) {
    const owner = owners[p];
    if (owner === undefined || owner.id === id) result.get(id)!.push(p);
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
    decode(bytes: Buffer): { assignment: Record<string, number[]> } | null;
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

export function encodeAssignment(topics: readonly string[], partitions: readonly number[]): Buffer {
  const assignment = Object.fromEntries(topics.map((topic) => [topic, [...partitions]]));
  return MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) });
}

export function decodeAssignment(bytes: Buffer): number[] {
  if (bytes.length === 0) return [];
  const decoded = MemberAssignment.decode(bytes);
  return decoded === null ? [] : (Object.values(decoded.assignment)[0] ?? []);
}
