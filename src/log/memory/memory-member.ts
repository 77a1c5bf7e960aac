import { FleetcastError } from '../../errors.ts';
import type { GroupMember, GroupOptions, OutRecord, TaskWriter } from '../event-log.ts';
import type { GroupSession } from '../groups/group-session.ts';
import type { MemoryGroup } from './memory-group.ts';

/** Appends at once, all or nothing. */
type Append = (records: readonly OutRecord[]) => number[];

export class MemoryMember implements GroupMember {
  readonly memberId: string;
  readonly #append: Append;
  readonly #group: MemoryGroup;
  readonly #session: GroupSession;
  readonly #options: GroupOptions;

  constructor(append: Append, group: MemoryGroup, session: GroupSession, options: GroupOptions) {
    this.memberId = options.memberId;
    this.#append = append;
    this.#group = group;
    this.#session = session;
    this.#options = options;
  }

  assignment(): readonly number[] {
    return this.#session.assignment();
  }

  async openWriter(partition: number): Promise<TaskWriter> {
    const epoch = await this.#session.claim(partition);
    const group = this.#group;
    const append = this.#append;
    const { topics, group: name } = this.#options;
    let closed = false;
    const check = () => {
      if (closed || group.state.epochs[partition] !== epoch) {
        throw new FleetcastError('LOG_FENCED', `group ${name}: the writer of partition ${partition} was replaced`, {
          details: { group: name, partition },
        });
      }
    };
    return {
      partition,
      async committed(): Promise<ReadonlyMap<string, number>> {
        check();
        const result = new Map<string, number>();
        for (const topic of topics) {
          const offset = group.committed.get(`${topic}/${partition}`);
          if (offset !== undefined) result.set(topic, offset);
        }
        return result;
      },
      async commit(records: readonly OutRecord[], inputOffsets: ReadonlyMap<string, number>) {
        check();
        const offsets = append(records);
        for (const [topic, offset] of inputOffsets) group.committed.set(`${topic}/${partition}`, offset);
        return offsets;
      },
      async close() {
        closed = true;
      },
    };
  }

  async leave(): Promise<void> {
    await this.#session.leave();
  }
}
