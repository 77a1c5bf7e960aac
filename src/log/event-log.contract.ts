import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type {
  EventLog,
  GroupMember,
  GroupOptions,
  LogRecord,
  OutRecord,
  PartitionWait,
  TopicSpec,
} from './event-log.ts';

/** What a test suite of an implementation supplies. */
export interface LogFixture {
  /** Opens the log as a process would; called again, it opens the same log a second time. Closed by `dispose`. */
  open(): Promise<EventLog>;
  dispose(): Promise<void>;
}

export interface ContractOptions {
  /** How long the slowest effect (a rebalance, a broker's cleaner) may take, milliseconds. Default 5,000. */
  readonly patienceMs?: number;
  /** A session time-out that the implementation can hold, milliseconds. Default 400. */
  readonly sessionMs?: number;
}

let topicNumber = 0;

/** The promises of `event-log.ts`, run on an implementation. */
export function eventLogContract(
  name: string,
  create: () => Promise<LogFixture>,
  { patienceMs = 5000, sessionMs = 400 }: ContractOptions = {},
): void {
  describe(`${name}: contract of the log`, { timeout: patienceMs * 4 + 10_000 }, () => {
    const run = `${Date.now().toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`;
    let fixture: LogFixture;
    let log: EventLog;
    let other: EventLog;
    let topic: string;

    beforeAll(async () => {
      fixture = await create();
      log = await fixture.open();
      other = await fixture.open();
    });
    afterAll(async () => {
      await fixture?.dispose();
    });
    beforeEach(() => {
      topic = `t${topicNumber++}-${run}`;
    });

    const make = (partitions: number, more: Partial<TopicSpec> = {}) =>
      log.ensureTopics([{ name: topic, partitions, cleanup: 'delete', ...more }]);

    const record = (text: string | null, more: Partial<OutRecord> = {}): OutRecord => ({
      topic,
      partition: 0,
      timestamp: Date.now(),
      key: Buffer.from('k'),
      value: text === null ? null : Buffer.from(text),
      ...more,
    });

    const until = async (condition: () => Promise<boolean> | boolean): Promise<void> => {
      const deadline = Date.now() + patienceMs;
      while (!(await condition())) {
        if (Date.now() > deadline) throw new Error('the expected state did not come about in time');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };

    const join = async (
      from: EventLog,
      memberId: string,
      more: Partial<Pick<GroupOptions, 'onRevoked' | 'onWaiting'>> & { topics?: string[]; group?: string } = {},
    ) => {
      const lost: number[] = [];
      const member = await from.join({
        group: more.group ?? `g-${topic}`,
        topics: more.topics ?? [topic],
        memberId,
        sessionMs,
        onAssigned: () => {},
        onRevoked: more.onRevoked ?? (() => {}),
        ...(more.onWaiting === undefined ? {} : { onWaiting: more.onWaiting }),
        onLost: (partitions) => {
          lost.push(...partitions);
        },
      });
      return { member, lost };
    };

    /** Committed records may need a moment until readers see them. */
    const shows = async (from: EventLog, name: string, partition: number, expected: string[]) => {
      let seen: string[] = [];
      await until(async () => {
        seen = texts(await readAll(from, name, partition));
        return seen.length >= expected.length;
      });
      expect(seen).toEqual(expected);
    };

    const hasCommitted = async (partition: number, offset: number) => {
      const wanted = new Map([[`${topic}/${partition}`, offset]]);
      await until(async () => (await log.committed(`g-${topic}`)).get(`${topic}/${partition}`) === offset);
      expect(await log.committed(`g-${topic}`)).toEqual(wanted);
    };

    const assigned = (member: GroupMember, count: number) => until(() => member.assignment().length === count);

    describe('topics', () => {
      test('are created once, and described', async () => {
        const spec: TopicSpec = { name: topic, partitions: 3, cleanup: 'delete', retentionMs: 3_600_000 };
        await log.ensureTopics([spec]);
        await log.ensureTopics([spec]);
        expect(await log.topic(topic)).toEqual(spec);
        expect(await log.topics()).toContainEqual(spec);
        expect(await log.topic(`${topic}-absent`)).toBeUndefined();
        await until(async () => (await other.topic(topic)) !== undefined);
      });

      test('that disagree are refused, and none of the call is created', async () => {
        await make(2);
        const fresh = { name: `${topic}-fresh`, partitions: 1, cleanup: 'delete' } as const;
        for (const change of [{ partitions: 3 }, { cleanup: 'compact' }, { retentionMs: 5000 }] as const) {
          const wanted: TopicSpec = { name: topic, partitions: 2, cleanup: 'delete', ...change };
          await expect(log.ensureTopics([fresh, wanted])).rejects.toMatchObject({ code: 'LOG_TOPIC_MISMATCH' });
        }
        expect(await log.topic(fresh.name)).toBeUndefined();
        expect(await log.topic(topic)).toEqual({ name: topic, partitions: 2, cleanup: 'delete' });
      });

      test('that do not exist can be neither read nor written, and take the rest of an append with them', async () => {
        await make(1);
        const absent = { code: 'LOG_TOPIC_UNKNOWN' };
        await expect(log.read(`${topic}-x`, 0, 0)).rejects.toMatchObject(absent);
        await expect(log.offsets(topic, 1)).rejects.toMatchObject(absent);
        const bad = [record('a'), record('b', { topic: `${topic}-x` })];
        await expect(log.append(bad)).rejects.toMatchObject(absent);
        await expect(log.appendAtomically(bad)).rejects.toMatchObject(absent);
        await expect(log.append([record('a'), record('b', { partition: 1 })])).rejects.toMatchObject(absent);
        expect(await log.offsets(topic, 0)).toEqual({ earliest: 0, end: 0 });
      });
    });

    describe('append and read', () => {
      test('gives back what was put in', async () => {
        await make(1);
        const records = [
          record('first', { timestamp: 1_600_000_000_123, key: Buffer.from([0, 255, 1]) }),
          record('', { timestamp: 1_500_000_000_000, key: null }),
          record(null, { timestamp: 1_700_000_000_000 }),
          record('x'.repeat(100_000), { key: Buffer.alloc(0) }),
        ];
        expect(await log.append(records)).toEqual([0, 1, 2, 3]);
        const batch = await log.read(topic, 0, 0);
        expect(batch.records.map(plain)).toEqual(records.map((r, offset) => plain({ ...r, offset })));
        expect(batch).toMatchObject({ nextOffset: 4, endOffset: 4 });
        expect(await log.offsets(topic, 0)).toEqual({ earliest: 0, end: 4 });
        expect(await log.append([])).toEqual([]);
      });

      test('keeps the order of calls within each partition', async () => {
        await make(2);
        const calls = Array.from({ length: 40 }, (_, i) =>
          log.append([0, 1, 2].map((n) => record(`${i}.${n}`, { partition: (i + n) % 2 }))),
        );
        await Promise.all(calls);
        for (const partition of [0, 1]) {
          const expected: string[] = [];
          for (let i = 0; i < 40; i++)
            for (const n of [0, 1, 2]) if ((i + n) % 2 === partition) expected.push(`${i}.${n}`);
          expect(texts(await readAll(log, topic, partition))).toEqual(expected);
        }
      });

      test('reads the same records however the reads are cut', async () => {
        await make(1);
        const values = Array.from({ length: 500 }, (_, i) => `value ${i} ${'.'.repeat(i % 60)}`);
        for (let i = 0; i < 500; i += 100) await log.append(values.slice(i, i + 100).map((v) => record(v)));
        for (const limits of [{ maxRecords: 1 }, { maxRecords: 7 }, { maxBytes: 1 }, { maxBytes: 333 }, {}]) {
          const records = await readAll(log, topic, 0, limits);
          expect(texts(records)).toEqual(values);
        }
        const few = await log.read(topic, 0, 250, { maxRecords: 7 });
        expect(texts(few.records)).toEqual(values.slice(250, 257));
        expect(few).toMatchObject({ nextOffset: 257, endOffset: 500 });
      });

      test('a read outside the log is refused; at its end it is empty', async () => {
        await make(1);
        await log.append([record('a')]);
        const refused = { code: 'LOG_OFFSET_OUT_OF_RANGE' };
        await expect(log.read(topic, 0, 2)).rejects.toMatchObject(refused);
        await expect(log.read(topic, 0, -1)).rejects.toMatchObject(refused);
        expect(await log.read(topic, 0, 1)).toEqual({ records: [], nextOffset: 1, endOffset: 1 });
      });

      test('a waiting read gets what is appended, here or by another handle', async () => {
        await make(1);
        for (const [i, writer] of [log, other].entries()) {
          const { end } = await log.offsets(topic, 0);
          const waiting = log.read(topic, 0, end, { waitMs: patienceMs });
          await new Promise((resolve) => setTimeout(resolve, 20));
          await writer.append([record(`w${i}`)]);
          expect(texts((await waiting).records)).toEqual([`w${i}`]);
        }
      });

      test('a waiting read ends empty at its time, or when it is aborted', async () => {
        await make(1);
        const empty = { records: [], nextOffset: 0, endOffset: 0 };
        expect(await log.read(topic, 0, 0, { waitMs: 30 })).toEqual(empty);
        const abort = new AbortController();
        const waiting = log.read(topic, 0, 0, { waitMs: 600_000, signal: abort.signal });
        setTimeout(() => abort.abort(), 20);
        expect(await waiting).toEqual(empty);
        expect(await log.read(topic, 0, 0, { waitMs: 600_000, signal: AbortSignal.abort() })).toEqual(empty);
      });

      test('finds the offset of a time', async () => {
        await make(1);
        const base = Date.now() - 100_000;
        expect(await log.offsetForTime(topic, 0, base)).toBe(0);
        await log.append([0, 10, 20, 20, 30].map((at) => record('v', { timestamp: base + at })));
        const found = await Promise.all([0, 1, 20, 25, 31].map((at) => log.offsetForTime(topic, 0, base + at)));
        expect(found).toEqual([0, 1, 2, 4, 5]);
      });

      test('appends atomically over partitions', async () => {
        await make(3);
        const offsets = await log.appendAtomically([2, 0, 1, 0].map((p, i) => record(`r${i}`, { partition: p })));
        expect(offsets).toEqual([0, 0, 0, 1]);
        await shows(log, topic, 0, ['r1', 'r3']);
        await shows(log, topic, 2, ['r0']);
      });
    });

    describe('groups', () => {
      test('share the partitions, move few, and lose none when members come and go', async () => {
        await make(6);
        const moves: string[] = [];
        const a = await log.join({
          group: `g-${topic}`,
          topics: [topic],
          memberId: 'a',
          sessionMs,
          onAssigned: (p) => void moves.push(...p.map((n) => `+${n}`)),
          onRevoked: (p) => void moves.push(...p.map((n) => `-${n}`)),
        });
        await assigned(a, 6);
        const { member: b } = await join(other, 'b');
        await assigned(b, 3);
        expect(a.assignment()).toHaveLength(3);
        expect([...a.assignment(), ...b.assignment()].sort()).toEqual([0, 1, 2, 3, 4, 5]);
        const before = a.assignment();
        const { member: c } = await join(log, 'c');
        await assigned(c, 2);
        await assigned(a, 2);
        await assigned(b, 2);
        for (const p of a.assignment()) expect(before).toContain(p);
        await b.leave();
        await until(() => a.assignment().length + c.assignment().length === 6);
        await c.leave();
        await assigned(a, 6);
        await a.leave();
        expect(a.assignment()).toEqual([]);
        for (let p = 0; p < 6; p++) {
          const own = moves.filter((move) => move.slice(1) === String(p)).map((move) => move[0]);
          expect(own.every((sign, i) => sign === (i % 2 === 0 ? '+' : '-'))).toBe(true);
          expect(own.at(-1)).toBe('-');
        }
      });

      test('say when the group has told them their share, be it nothing', async () => {
        await make(1);
        const { member: a } = await join(log, 'a');
        await assigned(a, 1);
        await until(() => a.settled());
        const waits: (readonly PartitionWait[])[] = [];
        const { member: b } = await join(other, 'b', { onWaiting: (list) => waits.push(list) });
        await until(() => b.settled());
        expect(b.assignment()).toEqual([]);
        expect(waits.at(-1) ?? []).toEqual([]);
        await a.leave();
        await assigned(b, 1);
        await b.leave();
      });

      test('hand a partition over only after onRevoked has ended', async () => {
        await make(1);
        let done = false;
        const slow = async () => {
          await new Promise((resolve) => setTimeout(resolve, sessionMs / 4));
          done = true;
        };
        const { member: a } = await join(log, 'a', { onRevoked: slow });
        await assigned(a, 1);
        const { member: b } = await join(other, 'b');
        await a.leave();
        expect(done).toBe(true);
        await assigned(b, 1);
        await b.leave();
      });

      test('need topics with equal partitions', async () => {
        await make(2);
        await log.ensureTopics([{ name: `${topic}-3`, partitions: 3, cleanup: 'delete' }]);
        await expect(join(log, 'a', { topics: [topic, `${topic}-3`] })).rejects.toMatchObject({
          code: 'LOG_TOPIC_MISMATCH',
        });
        await expect(join(log, 'a', { topics: [`${topic}-x`] })).rejects.toMatchObject({ code: 'LOG_TOPIC_UNKNOWN' });
      });
    });

    describe('writers', () => {
      test('commit records and input offsets together, for the next writer to go on from', async () => {
        await make(2);
        const out = `${topic}-out`;
        await log.ensureTopics([{ name: out, partitions: 2, cleanup: 'delete' }]);
        const { member } = await join(log, 'a');
        await assigned(member, 2);
        const writer = await member.openWriter(1);
        expect(await writer.committed()).toEqual(new Map());
        const offsets = await writer.commit(
          [record('one', { topic: out, partition: 1 }), record('two', { topic: out, partition: 1 })],
          new Map([[topic, 5]]),
        );
        expect(offsets).toEqual([0, 1]);
        await shows(other, out, 1, ['one', 'two']);
        await writer.commit([], new Map([[topic, 6]]));
        await hasCommitted(1, 6);
        await member.leave();

        const { member: next } = await join(other, 'b');
        await assigned(next, 2);
        expect(await (await next.openWriter(1)).committed()).toEqual(new Map([[topic, 6]]));
        expect(await (await next.openWriter(0)).committed()).toEqual(new Map());
        await expect(log.deleteGroup(`g-${topic}`)).rejects.toMatchObject({ code: 'LOG_GROUP_BUSY' });
        await next.leave();
        await until(async () => {
          try {
            await log.deleteGroup(`g-${topic}`);
            return true;
          } catch {
            return false;
          }
        });
        expect(await log.committed(`g-${topic}`)).toEqual(new Map());
      });

      test('a writer that is open finds all that its predecessors have committed below what is written', async () => {
        await make(1);
        const out = `${topic}-out`;
        await log.ensureTopics([{ name: out, partitions: 1, cleanup: 'delete' }]);
        expect(await log.written(out, 0)).toBe(0);
        const { member } = await join(log, 'a');
        await assigned(member, 1);
        const first = await member.openWriter(0);
        for (let i = 0; i < 3; i++) {
          await first.commit([record(`${i}`, { topic: out })], new Map([[topic, i]]));
        }
        await member.openWriter(0);
        const written = await log.written(out, 0);
        expect(written).toBeGreaterThanOrEqual(3);
        await until(async () => (await log.offsets(out, 0)).end >= written);
        expect(texts(await readAll(log, out, 0))).toEqual(['0', '1', '2']);
        await member.leave();
      });

      test('many commits in a row keep their order', async () => {
        await make(1);
        const { member } = await join(log, 'a');
        await assigned(member, 1);
        const writer = await member.openWriter(0);
        for (let i = 0; i < 30; i++) await writer.commit([record(`${i}a`), record(`${i}b`)], new Map([[topic, i]]));
        const expected = Array.from({ length: 30 }, (_, i) => [`${i}a`, `${i}b`]).flat();
        await shows(other, topic, 0, expected);
        await member.leave();
      });

      test('are fenced by a later writer of the same partition', async () => {
        await make(1);
        const { member } = await join(log, 'a');
        await assigned(member, 1);
        const first = await member.openWriter(0);
        await first.commit([record('kept')], new Map([[topic, 1]]));
        const second = await member.openWriter(0);
        expect(await second.committed()).toEqual(new Map([[topic, 1]]));
        for (let i = 0; i < 2; i++) {
          await expect(first.commit([record('lost')], new Map([[topic, 9]]))).rejects.toMatchObject({
            code: 'LOG_FENCED',
          });
        }
        await second.commit([record('next')], new Map([[topic, 2]]));
        await shows(log, topic, 0, ['kept', 'next']);
        await hasCommitted(0, 2);
        await member.leave();
      });

      test('are fenced by a later writer that reads other topics before theirs', async () => {
        await make(1);
        const more = `a-${topic}`;
        await log.ensureTopics([{ name: more, partitions: 1, cleanup: 'delete' }]);
        let release = () => {};
        const stuck = new Promise<void>((resolve) => {
          release = resolve;
        });
        const { member: z } = await join(log, 'z', { onRevoked: () => stuck });
        await assigned(z, 1);
        const zombie = await z.openWriter(0);
        await zombie.commit([record('before')], new Map([[topic, 1]]));
        const leaving = z.leave();
        const { member: b } = await join(other, 'b', { topics: [more, topic] });
        await assigned(b, 1);
        const heir = await b.openWriter(0);
        await expect(zombie.commit([record('after')], new Map([[topic, 2]]))).rejects.toMatchObject({
          code: 'LOG_FENCED',
        });
        await heir.commit([record('heir')], new Map([[topic, 3]]));
        release();
        await leaving;
        await shows(log, topic, 0, ['before', 'heir']);
        await b.leave();
      });

      test('of a member that lost its partition write nothing more', async () => {
        await make(1);
        let release = () => {};
        const stuck = new Promise<void>((resolve) => {
          release = resolve;
        });
        // `b` sorts before `z`, so that it is `z` who has to give way when there is one partition for two.
        const { member: z } = await join(log, 'z', { onRevoked: () => stuck });
        await assigned(z, 1);
        const zombie = await z.openWriter(0);
        await zombie.commit([record('before')], new Map([[topic, 1]]));
        const leaving = z.leave();
        const { member: b } = await join(other, 'b');
        await assigned(b, 1);
        const heir = await b.openWriter(0);
        expect(await heir.committed()).toEqual(new Map([[topic, 1]]));
        await expect(zombie.commit([record('after')], new Map([[topic, 2]]))).rejects.toMatchObject({
          code: 'LOG_FENCED',
        });
        await heir.commit([record('heir')], new Map([[topic, 3]]));
        release();
        await leaving;
        await shows(log, topic, 0, ['before', 'heir']);
        await hasCommitted(0, 3);
        await b.leave();
      });

      test('need the partition to be assigned', async () => {
        await make(2);
        const { member: a } = await join(log, 'a');
        await assigned(a, 2);
        const { member: b } = await join(other, 'b');
        await assigned(a, 1);
        await assigned(b, 1);
        await expect(a.openWriter(b.assignment()[0]!)).rejects.toMatchObject({ code: 'LOG_FENCED' });
        await expect(a.openWriter(7)).rejects.toMatchObject({ code: 'LOG_FENCED' });
        await a.leave();
        await b.leave();
      });
    });

    describe('cleaning', () => {
      test('compaction keeps the last value of each key and honours tombstones', async () => {
        await make(1, { cleanup: 'compact' });
        const put = (key: string, text: string | null) => record(text, { key: Buffer.from(key) });
        await log.append([put('a', 'a1'), put('b', 'b1'), put('a', 'a2'), put('c', 'c1')]);
        await log.append([put('b', null), put('a', 'a3'), put('d', 'd1')]);
        let n = 0;
        let seen: LogRecord[] = [];
        await until(async () => {
          // A broker cleans closed segments only: the filler closes them.
          await log.append([put('filler', `${n++}`)]);
          await log.maintain();
          seen = (await readAll(other, topic, 0)).filter((r) => r.key?.toString() !== 'filler');
          return seen.filter((r) => r.value !== null).length === 3;
        });
        expect(texts(seen.filter((r) => r.value !== null))).toEqual(['c1', 'a3', 'd1']);
        for (const r of seen.filter((r) => r.value === null)) expect(Buffer.from(r.key!).toString()).toBe('b');
        expect(seen.find((r) => Buffer.from(r.key!).toString() === 'a')?.offset).toBe(5);
        // A read from any old offset goes on over the holes.
        const middle = await log.read(topic, 0, 1);
        expect(middle.records[0]!.offset).toBeGreaterThanOrEqual(3);
        expect((await log.append([put('e', 'e1')]))[0]).toBeGreaterThan(7);
      });

      test('retention by time drops old records and says where the log begins', async () => {
        await make(1, { retentionMs: 3_600_000 });
        const old = Date.now() - 7_200_000;
        await log.append([record('old', { timestamp: old }), record('older', { timestamp: old - 1 })]);
        await until(async () => {
          await log.append([record('young')]);
          await log.maintain();
          return (await log.offsets(topic, 0)).earliest >= 2;
        });
        const { earliest } = await other.offsets(topic, 0);
        const left = await readAll(other, topic, 0, {}, earliest);
        expect(new Set(texts(left))).toEqual(new Set(['young']));
        await expect(log.read(topic, 0, 0)).rejects.toMatchObject({ code: 'LOG_OFFSET_OUT_OF_RANGE' });
      });

      test('records before an offset can be deleted, of topics that are not compacted', async () => {
        await make(2);
        const texts10 = Array.from({ length: 10 }, (_, i) => `r${i}`);
        await log.append(texts10.slice(0, 6).map((text) => record(text)));
        await log.append(texts10.slice(6).map((text) => record(text)));
        await log.append([record('other', { partition: 1 })]);
        await shows(log, topic, 0, texts10);
        const begins = (offset: number) => until(async () => (await other.offsets(topic, 0)).earliest === offset);
        await log.deleteRecords(topic, 0, 4);
        await begins(4);
        expect(texts(await readAll(other, topic, 0, {}, 4))).toEqual(texts10.slice(4));
        await expect(log.read(topic, 0, 3)).rejects.toMatchObject({ code: 'LOG_OFFSET_OUT_OF_RANGE' });
        // What is gone stays gone, and cannot be deleted again.
        await log.deleteRecords(topic, 0, 2);
        await log.deleteRecords(topic, 0, 10);
        await begins(10);
        const late = await log.append([record('after')]);
        expect(late).toEqual([10]);
        await shows(other, topic, 1, ['other']);
        expect(texts(await readAll(log, topic, 0, {}, 10))).toEqual(['after']);
        await expect(log.deleteRecords(topic, 0, 12)).rejects.toMatchObject({ code: 'LOG_OFFSET_OUT_OF_RANGE' });
        const compacted = `${topic}-compacted`;
        await log.ensureTopics([{ name: compacted, partitions: 1, cleanup: 'compact' }]);
        await expect(log.deleteRecords(compacted, 0, 0)).rejects.toMatchObject({ code: 'LOG_TOPIC_MISMATCH' });
        await expect(log.deleteRecords(`${topic}-absent`, 0, 0)).rejects.toMatchObject({ code: 'LOG_TOPIC_UNKNOWN' });
      });

      test('retention by bytes keeps the end of the log', async () => {
        await make(1, { retentionBytes: 300_000 });
        const big = 'x'.repeat(20_000);
        for (let i = 0; i < 10; i++) await log.append(Array.from({ length: 5 }, () => record(big)));
        let n = 0;
        await until(async () => {
          await log.append([...Array.from({ length: 5 }, () => record(big)), record(`last ${n++}`)]);
          await log.maintain();
          return (await log.offsets(topic, 0)).earliest > 0;
        });
        const { earliest } = await log.offsets(topic, 0);
        expect(texts(await readAll(log, topic, 0, {}, earliest)).at(-1)).toBe(`last ${n - 1}`);
      });
    });

    test('is of no use after it was closed', async () => {
      const third = await fixture.open();
      if (third === log) return;
      await third.close();
      await third.close();
      await expect(third.topics()).rejects.toMatchObject({ code: 'LOG_CLOSED' });
      await expect(third.append([])).rejects.toMatchObject({ code: 'LOG_CLOSED' });
    });
  });
}

/** Everything from `offset` to the end at the time of the first read. */
export async function readAll(
  log: EventLog,
  topic: string,
  partition: number,
  limits: { maxRecords?: number; maxBytes?: number } = {},
  offset = 0,
): Promise<LogRecord[]> {
  const { end } = await log.offsets(topic, partition);
  const records: LogRecord[] = [];
  for (let at = offset; at < end; ) {
    const batch = await log.read(topic, partition, at, { ...limits, waitMs: 2000 });
    records.push(...batch.records);
    expect(batch.nextOffset).toBeGreaterThan(at);
    at = batch.nextOffset;
  }
  const offsets = records.map((record) => record.offset);
  expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
  return records;
}

export function texts(records: readonly LogRecord[]): string[] {
  return records.map((record) => (record.value === null ? '(null)' : Buffer.from(record.value).toString()));
}

function plain(record: LogRecord | (OutRecord & { offset: number })): unknown {
  const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'));
  return { offset: record.offset, timestamp: record.timestamp, key: hex(record.key), value: hex(record.value) };
}
