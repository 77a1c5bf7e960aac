import { FleetcastError } from '../../errors.ts';
import type { GroupMember, GroupOptions, OutRecord, TaskWriter } from '../event-log.ts';
import type { GroupSession } from './group-session.ts';

/** A commit of one writer: all of it or nothing. */
export interface MemberCommit {
  readonly partition: number;
  readonly records: readonly OutRecord[];
  readonly inputOffsets: ReadonlyMap<string, number>;
  /** To be called where nothing can come between it and the writing. @throws LOG_FENCED */
  readonly check: () => void;
}

/** What a log keeps of a group, and how it commits. */
export interface MemberStore {
  /** What is read next is as of now, whichever process wrote it. */
  refresh(): void;
  epoch(partition: number): number | undefined;
  committed(topic: string, partition: number): number | undefined;
  commit(commit: MemberCommit): Promise<readonly number[]>;
  left(): void;
}

/** A member whose partitions a `GroupSession` keeps, with writers that the epochs of the partitions fence. */
export class SessionMember implements GroupMember {
  readonly memberId: string;
  readonly #options: GroupOptions;
  readonly #session: GroupSession;
  readonly #store: MemberStore;

  constructor(options: GroupOptions, session: GroupSession, store: MemberStore) {
    this.memberId = options.memberId;
    this.#options = options;
    this.#session = session;
    this.#store = store;
  }

  assignment(): readonly number[] {
    return this.#session.assignment();
  }

  settled(): boolean {
    return this.#session.settled;
  }

  async openWriter(partition: number): Promise<TaskWriter> {
    const epoch = await this.#session.claim(partition);
    const store = this.#store;
    const { topics, group } = this.#options;
    let closed = false;
    const check = (): void => {
      if (closed || store.epoch(partition) !== epoch) {
        throw new FleetcastError('LOG_FENCED', `group ${group}: the writer of partition ${partition} was replaced`, {
          details: { group, partition },
        });
      }
    };
    return {
      partition,
      async committed(): Promise<ReadonlyMap<string, number>> {
        store.refresh();
        check();
        const found = topics.map((topic) => [topic, store.committed(topic, partition)] as const);
        return new Map(found.filter((entry): entry is [string, number] => entry[1] !== undefined));
      },
      async commit(records, inputOffsets) {
        return store.commit({ partition, records, inputOffsets, check });
      },
      async close() {
        closed = true;
      },
    };
  }

  async leave(): Promise<void> {
    await this.#session.leave();
    this.#store.left();
  }
}
