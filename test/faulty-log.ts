import type { EventLog, GroupMember, GroupOptions, TaskWriter } from '../src/log/event-log.ts';

export type CommitVerdict = 'works' | 'fails' | 'fails-after';

/** A log whose commits fail as the script says: before they take place, or after it. */
export function faultyLog(log: EventLog, script: () => CommitVerdict): EventLog {
  const wrapWriter = (writer: TaskWriter): TaskWriter => ({
    partition: writer.partition,
    committed: () => writer.committed(),
    close: () => writer.close(),
    async commit(records, offsets) {
      const verdict = script();
      if (verdict === 'fails') throw new Error('the commit never arrived');
      const result = await writer.commit(records, offsets);
      if (verdict === 'fails-after') throw new Error('the answer was lost');
      return result;
    },
  });
  return new Proxy(log, {
    get(target, name) {
      if (name === 'join') {
        return async (options: GroupOptions): Promise<GroupMember> => {
          const member = await target.join(options);
          return {
            memberId: member.memberId,
            assignment: () => member.assignment(),
            settled: () => member.settled(),
            leave: () => member.leave(),
            openWriter: async (partition) => wrapWriter(await member.openWriter(partition)),
          };
        };
      }
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
