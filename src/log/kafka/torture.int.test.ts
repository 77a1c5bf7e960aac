import { afterAll, describe, expect, test } from 'vitest';
import { startKafka } from '../../../test/log/kafka-broker.ts';
import { torture } from '../../../test/log/kafka-torture.ts';

// The long form is `npm run torture:kafka`: TORTURE_FAULTS, TORTURE_NODES (1 or 3), TORTURE_SEED.
const faults = Number(process.env['TORTURE_FAULTS'] ?? 6);
const nodes = Number(process.env['TORTURE_NODES'] ?? 1);
const seed = Number(process.env['TORTURE_SEED'] ?? 7);
const say = process.env['TORTURE_FAULTS'] === undefined ? undefined : (line: string) => console.log(line);

// A broker of its own, whatever KAFKA_BROKERS says: it is killed here.
const kafka = await startKafka(nodes, { own: true });

describe.skipIf(kafka === undefined)('kafka under faults (needs the tool that starts a broker)', () => {
  afterAll(() => kafka?.stop());

  const timeout = 120_000 + faults * 30_000;
  test('copies every record exactly once, in order, whatever is killed', { timeout }, async () => {
    const options = { seed, faults, recordsAFault: 300, partitions: 3 };
    const ledger = await torture(kafka!, say === undefined ? options : { ...options, say });
    say?.(JSON.stringify(ledger));
    expect(ledger).toMatchObject({ wrong: [], copied: ledger.appended, faults });
  });
});
