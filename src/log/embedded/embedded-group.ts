import { FleetcastError } from '../../errors.ts';
import type { GroupTable } from '../groups/group-session.ts';
import { emptyGroup, type GroupState, signature } from '../groups/group-state.ts';
import type { Tables } from './tables.ts';

/** A group in the tables; its members may live in several processes. */
export class EmbeddedGroup implements GroupTable {
  readonly clock: () => number;
  readonly #tables: Tables;
  readonly #name: string;
  readonly #listeners = new Set<() => void>();
  #seen = '';

  constructor(tables: Tables, name: string, clock: () => number) {
    this.#tables = tables;
    this.#name = name;
    this.clock = clock;
  }

  async update<T>(change: (state: GroupState) => T): Promise<T> {
    // Most calls change nothing: try on a copy before asking for a transaction.
    this.#tables.refresh();
    const before = this.#read();
    const attempt = structuredClone(before);
    const result = change(attempt);
    if (JSON.stringify(attempt) === JSON.stringify(before)) return result;
    const written = this.#tables.write(() => {
      const state = this.#read();
      const value = change(state);
      this.#tables.groups.put(this.#name, state);
      return value;
    });
    this.look();
    return written;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the listeners if the group has changed since the last look. */
  look(): void {
    if (this.#listeners.size === 0) return;
    this.#tables.refresh();
    const now = signature(this.#read());
    if (now === this.#seen) return;
    this.#seen = now;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Within a transaction or outside. */
  epoch(partition: number): number | undefined {
    return this.#read().epochs[partition];
  }

  committed(topic: string, partition: number): number | undefined {
    return this.#tables.offsets.get([this.#name, topic, partition]);
  }

  allCommitted(): Map<string, number> {
    this.#tables.refresh();
    const result = new Map<string, number>();
    for (const { key, value } of this.#tables.offsets.getRange({ start: [this.#name] as never })) {
      const [group, topic, partition] = key;
      if (group !== this.#name) break;
      result.set(`${topic}/${partition}`, value);
    }
    return result;
  }

  /** Only within `Tables.write`. */
  putCommitted(topic: string, partition: number, offset: number): void {
    this.#tables.offsets.put([this.#name, topic, partition], offset);
  }

  /** @throws LOG_GROUP_BUSY while a member is alive. */
  delete(): void {
    const keys = [...this.allCommitted().keys()];
    this.#tables.write(() => {
      const now = this.clock();
      const alive = Object.entries(this.#read().members).filter(
        ([, member]) => now - member.seenAt <= member.sessionMs,
      );
      if (alive.length > 0) {
        const names = alive.map(([id]) => id).join(', ');
        throw new FleetcastError('LOG_GROUP_BUSY', `group ${this.#name} has members: ${names}`);
      }
      for (const key of keys) {
        const at = key.lastIndexOf('/');
        this.#tables.offsets.remove([this.#name, key.slice(0, at), Number(key.slice(at + 1))]);
      }
      this.#tables.groups.remove(this.#name);
    });
  }

  #read(): GroupState {
    return (this.#tables.groups.get(this.#name) as GroupState | undefined) ?? emptyGroup();
  }
}
