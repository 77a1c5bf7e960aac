import { FleetcastError } from '../../errors.ts';
import type { GroupTable } from '../groups/group-session.ts';
import { emptyGroup, type GroupState, signature } from '../groups/group-state.ts';

/** A group whose members all live in this process. */
export class MemoryGroup implements GroupTable {
  readonly clock = undefined;
  readonly state: GroupState = emptyGroup();
  /** `topic/partition` to the next input offset. */
  readonly committed = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  async update<T>(change: (state: GroupState) => T): Promise<T> {
    const before = signature(this.state);
    const result = change(this.state);
    if (signature(this.state) !== before) for (const listener of [...this.#listeners]) listener();
    return result;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  requireEmpty(group: string): void {
    const members = Object.keys(this.state.members);
    if (members.length === 0) return;
    throw new FleetcastError('LOG_GROUP_BUSY', `group ${group} has members: ${members.join(', ')}`);
  }
}
