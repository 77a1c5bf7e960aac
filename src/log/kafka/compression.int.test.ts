import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toolFile } from '../../../test/data-folder.ts';
import { type RunningKafka, startKafka } from '../../../test/log/kafka-broker.ts';
import { readAll } from '../event-log.contract.ts';
import type { LogRecord } from '../event-log.ts';
import { openKafkaLog } from './kafka-log.ts';

const run = promisify(execFile);
const jars = toolFile('kafka/get-kafka.sh');
const python = process.env['FLEETCAST_TEST_PYTHON_KAFKA'];
const CODECS = ['gzip', 'snappy', 'lz4', 'zstd'] as const;
const COUNT = 3000;
const value = (i: number) => `value ${i} `.repeat(1 + (i % 50));
const expected = Array.from({ length: COUNT }, (_, i) => [`key-${i}`, value(i), 1_700_000_000_000 + i]);
const plain = ({ key, value: bytes, timestamp }: LogRecord) => [String(key), String(bytes), timestamp];

/** The same with librdkafka. */
const PYTHON = `
import sys
from confluent_kafka import Producer
for codec in sys.argv[3:]:
    producer = Producer({'bootstrap.servers': sys.argv[1], 'compression.type': codec, 'linger.ms': 200})
    for i in range(int(sys.argv[2])):
        value = f'value {i} ' * (1 + i % 50)
        producer.produce('rdkafka-' + codec, value, f'key-{i}', partition=0, timestamp=1700000000000 + i)
    producer.flush()
`;

describe.skipIf(jars === undefined)('compression by other clients (needs the tool that starts a broker)', () => {
  let kafka: RunningKafka;
  beforeAll(async () => {
    kafka = (await startKafka())!;
    const log = await openKafkaLog({ brokers: kafka.brokers });
    const names = CODECS.flatMap((codec) => [`java-${codec}`, `ours-${codec}`, `rdkafka-${codec}`]);
    await log.ensureTopics(names.map((name) => ({ name, partitions: 1, cleanup: 'delete' })));
    await log.close();
  });
  afterAll(async () => kafka?.stop());

  const read = async (topic: string) => {
    const log = await openKafkaLog({ brokers: kafka.brokers });
    try {
      return (await readAll(log, topic, 0)).map(plain);
    } finally {
      await log.close();
    }
  };

  test("Java's client reads ours, and we read its batches", async () => {
    const crc = crc32(Buffer.from(expected.map(([, text]) => text).join('')));
    for (const compression of CODECS) {
      const log = await openKafkaLog({ brokers: kafka.brokers, compression });
      const records = expected.map(([key, text, timestamp]) => ({
        topic: `ours-${compression}`,
        partition: 0,
        timestamp: Number(timestamp),
        key: Buffer.from(String(key)),
        value: Buffer.from(String(text)),
      }));
      await log.append(records.slice(0, COUNT / 2));
      await log.appendAtomically(records.slice(COUNT / 2));
      await log.close();
    }
    const { stdout: folder } = await run(jars!, []);
    const program = fileURLToPath(new URL('../../../test/log/JavaClient.java', import.meta.url));
    const { stdout } = await run('java', [
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      ...['-cp', `${folder.trim()}/*`, program, kafka.brokers.join(','), String(COUNT), ...CODECS],
    ]);
    expect(stdout.trim().split('\n')).toEqual(CODECS.map((codec) => `${codec} ${COUNT} ${crc}`));
    for (const codec of CODECS) expect(await read(`java-${codec}`)).toEqual(expected);
  }, 300_000);

  test.skipIf(python === undefined)(
    'we read the batches of librdkafka (needs FLEETCAST_TEST_PYTHON_KAFKA)',
    async () => {
      await run(python!, ['-c', PYTHON, kafka.brokers.join(','), String(COUNT), ...CODECS]);
      for (const codec of CODECS) expect(await read(`rdkafka-${codec}`)).toEqual(expected);
    },
    60_000,
  );
});
