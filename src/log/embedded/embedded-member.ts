import { FleetcastError } from '../../errors.ts';
import type { GroupMember, GroupOptions, OutRecord, TaskWriter } from '../event-log.ts';
import type { GroupSession } from '../groups/group-session.ts';
import type { EmbeddedGroup } from './embedded-group.ts';
import type { Share, WriteQueue } from './write-queue.ts';

/** What a member needs of the log that it belongs to. */
export interface MemberLog {
  readonly queue: WriteQueue;
  shares(records: readonly OutRecord[]): readonly Share[];
  refresh(): void;
  left(session: GroupSession): void;
}

export class EmbeddedMember implements GroupMember {
  readonly memberId: string;
  readonly #log: MemberLog;
  readonly #group: EmbeddedGroup;
  readonly #session: GroupSession;
  readonly #options: GroupOptions;

  constructor(log: MemberLog, group: EmbeddedGroup, session: GroupSession, options: GroupOptions) {
    this.memberId = options.memberId;
    this.#log = log;
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
    const log = this.#log;
    const { topics, group: name } = this.#options;
    let closed = false;
    const check = () => {
      if (closed || group.epoch(partition) !== epoch) {
        throw new FleetcastError('LOG_FENCED', `group ${name}: the writer of partition ${partition} was replaced`, {
          details: { group: name, partition },
        });
      }
    };
    return {
      partition,
      async committed(): Promise<ReadonlyMap<string, number>> {
        log.refresh();
        check();
        const result = new Map<string, number>();
        for (const topic of topics) {
          const offset = group.committed(topic, partition);
          if (offset !== undefined) result.set(topic, offset);
        }
        return result;
      },
      async commit(records: readonly OutRecord[], inputOffsets: ReadonlyMap<string, number>) {
        const finish = () => {
          for (const [topic, offset] of inputOffsets) group.putCommitted(topic, partition, offset);
        };
        return log.queue.write({ shares: log.shares(records), count: records.length, check, finish });
      },
      async close() {
        closed = true;
      },
    };
  }

  async leave(): Promise<void> {
    await this.#session.leave();
    this.#log.left(this.#session);
  }
}
