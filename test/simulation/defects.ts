import { decode, encodeRecord } from '../../src/events/codec.ts';
import type { StateSnapshot } from '../../src/events/records.ts';
import type { EventLog, GroupMember, OutRecord, TaskWriter } from '../../src/log/event-log.ts';
import type { Defects } from './simulate.ts';

type Commit = TaskWriter['commit'];

/** Real defects of the kind that gets into engines, to run with on purpose: the simulation must find each. */
export const DEFECTS: Readonly<Record<string, Defects>> = {
  'fencing is off': { noFencing: true },
  'the input offset is committed before the outputs': {
    wrap: (log) =>
      withCommit(log, (commit) => async (records, offsets) => {
        await commit([], offsets);
        return log.append(records);
      }),
  },
  'the outputs are written before the input offset': {
    wrap: (log) =>
      withCommit(log, (commit) => async (records, offsets) => {
        const result = await log.append(records);
        await commit([], offsets);
        return result;
      }),
  },
  'a restore takes what it can read of the state for all of it': {
    wrap: (log) => ({ ...log, written: async (topic, partition) => (await log.offsets(topic, partition)).end }),
  },
  'snapshots are one record newer than they say': {
    wrap: (log) => withCommit(log, (commit) => (records, offsets) => commit(records.map(shifted(-1)), offsets)),
  },
  'snapshots are one record older than they say': {
    wrap: (log) => withCommit(log, (commit) => (records, offsets) => commit(records.map(shifted(1)), offsets)),
  },
  'the event time of a key behind keyBy is its own': { timeOf: 'key' },
  'a key without state is forgotten at once': {
    wrap: (log) => withCommit(log, (commit) => (records, offsets) => commit(records.map(forgotten), offsets)),
  },
};

/** A tombstone in place of an empty snapshot. */
function forgotten(record: OutRecord): OutRecord {
  if (record.topic !== 'state' || record.value === null) return record;
  const { key, stores } = decode<StateSnapshot>('StateSnapshot', record.value);
  return key !== '' && Object.keys(stores).length === 0 ? { ...record, value: null } : record;
}

/** Snapshots of keys that claim another offset. */
function shifted(by: number): (record: OutRecord) => OutRecord {
  return (record) => {
    if (record.topic !== 'state' || record.value === null) return record;
    const snapshot = decode<StateSnapshot>('StateSnapshot', record.value);
    if (snapshot.key === '') return record;
    return { ...record, value: encodeRecord({ ...snapshot, type: 'StateSnapshot', offset: snapshot.offset + by }) };
  };
}

function withCommit(log: EventLog, change: (commit: Commit) => Commit): EventLog {
  return {
    ...log,
    join: async (options): Promise<GroupMember> => {
      const member = await log.join(options);
      return {
        ...member,
        openWriter: async (partition) => {
          const writer = await member.openWriter(partition);
          return { ...writer, commit: change(writer.commit) };
        },
      };
    },
  };
}
