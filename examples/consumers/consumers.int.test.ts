import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeRecord } from '../../src/events/codec.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { type RunningKafka, startKafka } from '../../test/log/kafka-broker.ts';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const python = process.env['FLEETCAST_TEST_PYTHON_KAFKA'];
/** Folder with the jars of java/pom.xml. */
const jars = process.env['FLEETCAST_TEST_CONSUMER_JARS'];
const kafka: RunningKafka | undefined = await startKafka();

const topic = `consumers-${process.pid}-forecasts`;
const forecast = (n: number) => ({
  ...{ type: 'Forecast' as const, device: `pump ${n}`, quantity: 'temperature', origin: 1_700_000_000_123 + n },
  ...{ interval: 60_000, values: [n, 0.1], lower: [n - 1, 0], upper: [n + 1, 0.25], level: 0.9, model: 'naive' },
  ...{ inputOffset: n, arithmetic: 1, intervals: [{ level: 0.5, lower: [n - 0.5, 0.05], upper: [n + 0.5, 0.2] }] },
});
const committed = [0, 1, 2, 3, 4].map(forecast);
const { type: _type, ...fields } = forecast(0);

describe.skipIf(kafka === undefined)('consumers of forecasts (need a broker)', () => {
  beforeAll(async () => {
    const log = await openKafkaLog({ brokers: kafka!.brokers });
    await log.ensureTopics([{ name: topic, partitions: 1, cleanup: 'delete' }]);
    await log.appendAtomically(
      committed.map((each, i) => ({
        ...{ topic, partition: 0, timestamp: 1_700_000_000_000 + i },
        ...{ key: Buffer.from(each.device), value: encodeRecord(each) },
      })),
    );
    await log.close();
  });
  afterAll(async () => kafka?.stop());

  const args = (group: string) => [kafka!.brokers.join(','), topic, String(committed.length), group];
  const lines = async (program: string, parameters: readonly string[]) => {
    const { stdout } = await run(program, [...parameters], { timeout: 300_000 });
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };

  test('TypeScript', async () => {
    // As a user's compiler does it; the program finds `fleetcast` and kafkajs from where it lies.
    const folder = mkdtempSync(join(here, 'typescript', 'built-'));
    try {
      const source = readFileSync(join(here, 'typescript', 'consumer.ts'), 'utf8');
      const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      const file = join(folder, 'consumer.mjs');
      writeFileSync(file, ts.transpileModule(source, { compilerOptions: options }).outputText);
      const found = await lines(process.execPath, [file, ...args('typescript')]);
      expect(found.filter(({ type }) => type === 'Forecast')).toEqual(committed);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 300_000);

  test.skipIf(python === undefined)(
    'Python (needs FLEETCAST_TEST_PYTHON_KAFKA)',
    async () => {
      const found = await lines(python!, [join(here, 'python', 'consumer.py'), ...args('python')]);
      expect(found.map((each) => ({ type: 'Forecast', ...each }))).toEqual(committed);
    },
    120_000,
  );

  test.skipIf(jars === undefined || !existsSync(jars))(
    'Java (needs FLEETCAST_TEST_CONSUMER_JARS)',
    async () => {
      const schema = join(here, '../../schemas/forecast.avsc');
      const program = join(here, 'java', 'Consumer.java');
      const found = await lines('java', ['-cp', `${jars}/*`, program, schema, ...args('java')]);
      expect(found.map((each) => Object.keys(each))).toEqual(committed.map(() => Object.keys(fields)));
      expect(found.map(({ device, values, inputOffset }) => ({ device, values, inputOffset }))).toEqual(
        committed.map(({ device, values, inputOffset }) => ({ device, values, inputOffset })),
      );
    },
    120_000,
  );
});
