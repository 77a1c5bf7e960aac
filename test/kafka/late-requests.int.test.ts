import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAll, texts } from '../../src/log/event-log.contract.ts';
import type { EventLog, GroupMember, TaskWriter } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { startKafka } from '../log/kafka-broker.ts';
import { frameOf } from '../log/kafka-frames.ts';
import { TcpProxy } from '../log/tcp-proxy.ts';

/** Numbers of the protocol's requests. */
const END_TXN = 26;
const TXN_OFFSET_COMMIT = 28;
const PROXY = 2;
const kafka = await startKafka(1, {
  own: true,
  properties: (port) => `advertised.listeners=PLAINTEXT://localhost:${port + PROXY}`,
});

describe.skipIf(kafka === undefined)('requests that come late (needs the tool that starts a broker)', () => {
  const port = Number(kafka?.brokers[0]?.split(':')[1]);
  const proxy = new TcpProxy(port + PROXY, port);
  let log: EventLog;
  let member: GroupMember;
  let topic: string;
  let tests = 0;

  beforeEach(async () => {
    if (tests === 0) await proxy.start();
    topic = `t${tests++}`;
    log = await openKafkaLog({ brokers: [`localhost:${port + PROXY}`], retryMs: 10_000 });
    await log.ensureTopics([topic, 'out'].map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
    const hooks = { onAssigned: () => {}, onRevoked: () => {} };
    member = await log.join({ group: `g-${topic}`, topics: [topic], memberId: 'm', ...hooks });
    await expect.poll(() => member.assignment(), { timeout: 30_000 }).toEqual([0]);
  });
  afterEach(async () => {
    proxy.watch = undefined;
    await member.leave();
    await log.close();
  });
  afterAll(async () => {
    await proxy.stop();
    await kafka?.stop();
  });

  const commit = (writer: TaskWriter, n: number) =>
    writer.commit(
      [{ topic: 'out', partition: 0, timestamp: n, key: null, value: Buffer.from(`${topic}/${n}`) }],
      new Map([[topic, n]]),
    );
  const committed = async () => (await log.committed(`g-${topic}`)).get(`${topic}/0`);
  const outputs = async () => texts(await readAll(log, 'out', 0)).filter((text) => text.startsWith(`${topic}/`));

  /** The next request of a kind is held back, and the client cut off; @returns lets it through. */
  const holdNext = (kind: number): Promise<() => void> =>
    new Promise((resolve) => {
      proxy.watch = (data, connection) => {
        const at = frameOf(data, kind);
        if (at < 0) return undefined;
        proxy.watch = undefined;
        const held = data.subarray(at, at + 4 + data.readInt32BE(at));
        connection.loseClient();
        resolve(() => connection.toBroker(held));
        return Promise.resolve(data.subarray(0, at));
      };
    });
  /** Runs `work` before the next request of a kind goes on. */
  const beforeNext = (kind: number, work: () => Promise<void>) => {
    proxy.watch = (data) => {
      if (frameOf(data, kind) < 0) return undefined;
      proxy.watch = undefined;
      return work().then(() => data);
    };
  };

  test.each([
    // It comes between the next offset and the end of its transaction.
    ['an offset', TXN_OFFSET_COMMIT, END_TXN],
    // It comes between the next records and their offset.
    ['the end of a transaction', END_TXN, TXN_OFFSET_COMMIT],
  ])('%s that was sent again and then comes once more changes nothing of the transactions after it', async (_, kind, point) => {
    let writer = await member.openWriter(0);
    await commit(writer, 1);
    const held = holdNext(kind);
    await commit(writer, 2);
    const release = await held;
    // The broker answers before the offset is to be seen.
    await expect.poll(committed).toBe(2);
    beforeNext(point, async () => {
      await pause(300);
      release();
      await pause(300);
    });
    try {
      await commit(writer, 3);
    } catch (error) {
      expect(error).toMatchObject({ code: 'LOG_UNAVAILABLE' });
      await writer.close();
      writer = await member.openWriter(0);
      await commit(writer, 3);
    }
    await expect.poll(committed).toBe(3);
    expect(await outputs()).toEqual([1, 2, 3].map((n) => `${topic}/${n}`));
    await writer.close();
  });
});
