import { randomUUID } from 'node:crypto';
import { describe, test } from 'vitest';
import { startKafka } from '../../../test/log/kafka-broker.ts';
import { eventLogContract } from '../event-log.contract.ts';
import type { EventLog } from '../event-log.ts';
import { openKafkaLog } from './kafka-log.ts';

const kafka = await startKafka();
if (kafka === undefined) {
  describe.skip('kafka: contract of the log', () =>
    test('needs a broker (KAFKA_BROKERS, or the tool that starts one)', () => {}));
} else {
  eventLogContract(
    'kafka',
    async () => {
      const logs: EventLog[] = [];
      const prefix = `c${randomUUID().slice(0, 8)}.`;
      return {
        open: async () => {
          const log = await openKafkaLog({
            brokers: kafka.brokers,
            prefix,
            topicConfig: {
              'segment.ms': '500',
              'min.cleanable.dirty.ratio': '0.01',
              'file.delete.delay.ms': '100',
            },
          });
          logs.push(log);
          return log;
        },
        dispose: async () => {
          for (const log of logs) await log.close();
          await kafka.stop();
        },
      };
    },
    { patienceMs: 30_000, sessionMs: 1500 },
  );
}
