// A process on an embedded log, for tests that kill it. Arguments: MODE PATH MEMBER [COUNT].
//   copy    joins group `copiers` and copies topic `in` to `out`, exactly once, until it is killed
//   append  appends COUNT records `MEMBER/n` to partition 0 of `in`, and says which are acknowledged
// Lines on stdout: `ready`, `assigned 0,1`, `committed PARTITION OFFSET`, `acked N`, `done`.
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';

const [mode, path, member, count] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${line}\n`);
const log = await openEmbeddedLog({ path });

async function copy(group, partition) {
  const writer = await group.openWriter(partition);
  let at = (await writer.committed()).get('in') ?? 0;
  for (;;) {
    const batch = await log.read('in', partition, at, { maxRecords: 1 + (at % 97), waitMs: 1000 });
    if (batch.records.length === 0) continue;
    at = batch.nextOffset;
    const out = batch.records.map((r) => ({
      topic: 'out',
      partition,
      timestamp: r.timestamp,
      key: r.key,
      value: r.value,
    }));
    await writer.commit(out, new Map([['in', at]]));
    say(`committed ${partition} ${at}`);
  }
}

if (mode === 'copy') {
  const group = await log.join({
    group: 'copiers',
    topics: ['in'],
    memberId: member,
    sessionMs: 1000,
    onAssigned: (partitions) => {
      say(`assigned ${partitions}`);
      // A writer that was fenced is the other process's business: this one stops copying that partition.
      for (const p of partitions) copy(group, p).catch((error) => say(`stopped ${p} ${error.code}`));
    },
    onRevoked: () => {},
  });
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
