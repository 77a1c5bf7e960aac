// A process on a log, for tests that kill it. Arguments: MODE TARGET MEMBER [COUNT].
//   TARGET  embedded:FOLDER or kafka:BROKERS/PREFIX
//   copy    joins group `copiers` and copies topic `in` to `out`, exactly once, until it is killed or told to stop
//   leave   opens the log and, told to stop, ends without closing it
//   append  appends COUNT records `MEMBER/n` to partition 0 of `in`, and says which are acknowledged
// Lines on stdout: `ready`, `assigned 0,1`, `committed PARTITION OFFSET`, `failed PARTITION CODE`, `acked N`, `done`.
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';

const [mode, target, member, count] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${line}\n`);
const [kind, where] = [target.slice(0, target.indexOf(':')), target.slice(target.indexOf(':') + 1)];
const log =
  kind === 'kafka'
    ? await openKafkaLog({ brokers: where.split('/')[0].split(','), prefix: where.split('/')[1], retryMs: 5000 })
    : await openEmbeddedLog({ path: where });
const held = new Set();

/** Copies while the partition is held; after an error with a new writer, from what was committed. */
async function copy(group, partition) {
  while (held.has(partition)) {
    let writer;
    try {
      writer = await group.openWriter(partition);
      let at = (await writer.committed()).get('in') ?? 0;
      while (held.has(partition)) {
        const batch = await log.read('in', partition, at, { maxRecords: 1 + (at % 97), waitMs: 200 });
        if (batch.records.length === 0 && batch.nextOffset === at) continue;
        at = batch.nextOffset;
        const out = batch.records.map(({ timestamp, key, value }) => ({
          topic: 'out',
          partition,
          timestamp,
          key,
          value,
        }));
        await writer.commit(out, new Map([['in', at]]));
        say(`committed ${partition} ${at}`);
      }
    } catch (error) {
      say(`failed ${partition} ${error.code} ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await writer?.close();
  }
}

if (mode === 'copy') {
  const running = new Map();
  const group = await log.join({
    group: 'copiers',
    topics: ['in'],
    memberId: member,
    sessionMs: kind === 'kafka' ? 2000 : 1000,
    onAssigned: (partitions) => {
      say(`assigned ${partitions}`);
      for (const p of partitions) {
        held.add(p);
        running.set(
          p,
          (running.get(p) ?? Promise.resolve()).then(() => copy(group, p)),
        );
      }
    },
    onRevoked: async (partitions) => {
      for (const p of partitions) held.delete(p);
      await Promise.all(partitions.map((p) => running.get(p)));
      say(`revoked ${partitions}`);
    },
    onLost: (partitions) => {
      for (const p of partitions) held.delete(p);
      say(`lost ${partitions}`);
    },
  });
  process.on('SIGTERM', async () => {
    await group.leave();
    await log.close();
    process.exit(0);
  });
} else if (mode === 'leave') {
  process.on('SIGTERM', () => process.exit(0));
  setTimeout(() => process.exit(1), 60_000);
} else {
  for (let n = 0; n < Number(count); n++) {
    const value = Buffer.from(`${member}/${n}`);
    log.append([{ topic: 'in', partition: 0, timestamp: Date.now(), key: Buffer.from(member), value }]).then(() => {
      say(`acked ${n}`);
    });
    if (n % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
  }
  await log.close();
  say('done');
}
say('ready');
