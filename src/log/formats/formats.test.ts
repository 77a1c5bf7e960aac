import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeRecord, headerFor } from '../../events/codec.ts';
import type { FleetRecord } from '../../events/records.ts';
import { compileSchema, fingerprint, schemaText } from '../../events/schema-registry.ts';
import { readAll } from '../event-log.contract.ts';
import type { EventLog } from '../event-log.ts';
import { MemoryLog } from '../memory/memory-log.ts';
import { FormattedLog } from './formatted-log.ts';
import { JsonFormat } from './json.ts';
import { SchemasTopicFormat } from './schemas-topic.ts';
import type { WireFormat } from './wire-format.ts';

const topics = new Map([
  ['readings', ['Reading', 'Tick', 'Activation'] as const],
  ['forecasts', ['Forecast'] as const],
  ['history', ['HistorySegment'] as const],
  ['dead-letters', ['DeadLetter'] as const],
]);
const specs = [...topics.keys(), 'raw'].map((name) => ({ name, partitions: 1, cleanup: 'delete' as const }));
const out = (topic: string, value: Uint8Array | null) => ({ topic, partition: 0, timestamp: 5, key: null, value });
const values = async (log: EventLog, topic: string) =>
  (await readAll(log, topic, 0)).map(({ value }) => (value === null ? null : Buffer.from(value)));

const odd = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY));
const whole = fc.integer({ min: 0, max: 2 ** 45 });
const text = fc.string({ unit: 'grapheme', maxLength: 10 });
const record: fc.Arbitrary<readonly [string, FleetRecord]> = fc.oneof(
  fc.record({ device: text, quantity: text, origin: whole, list: fc.array(odd, { maxLength: 6 }) }).map(
    ({ device, quantity, origin, list }) =>
      [
        'forecasts',
        {
          ...{ type: 'Forecast', device, quantity, origin, interval: 60_000, values: list, lower: list, upper: [] },
          ...{ level: 0.9, model: 'm', inputOffset: 3, arithmetic: 1 },
        },
      ] as const,
  ) as fc.Arbitrary<readonly [string, FleetRecord]>,
  fc.record({ device: text, start: whole, list: fc.array(odd) }).map(
    ({ device, start, list }) =>
      [
        'history',
        {
          ...{ type: 'HistorySegment', device, quantity: 'q', start, interval: 1, values: list, counts: [1, 2] },
          ...{ revision: 1, complete: true },
        },
      ] as const,
  ) as fc.Arbitrary<readonly [string, FleetRecord]>,
  fc.record({ message: text, payload: fc.uint8Array().map((bytes) => Buffer.from(bytes)) }).map(
    ({ message, payload }) =>
      [
        'dead-letters',
        {
          ...{ type: 'DeadLetter', reason: 'not-json', message, time: 1, origin: 'mqtt', mqttTopic: 't' },
          ...{ partition: 0, offset: -1, device: 'd', payload },
        },
      ] as const,
  ) as fc.Arbitrary<readonly [string, FleetRecord]>,
  fc
    .record({ device: text, time: whole, values: fc.dictionary(text, odd) })
    .map(
      (fields) =>
        ['readings', { type: 'Reading', retained: false, redelivered: true, fingerprint: '', ...fields }] as const,
    ) as fc.Arbitrary<readonly [string, FleetRecord]>,
);

const formats: Record<string, (log: EventLog) => WireFormat> = {
  'single-object encoding with a topic of schemas': (log) => new SchemasTopicFormat(log, 'schemas', topics),
  JSON: (log) => new JsonFormat(topics.keys(), new SchemasTopicFormat(log, 'schemas', topics)),
};

describe.each(Object.entries(formats))('%s', (_name, make) => {
  const open = async () => {
    const inner = new MemoryLog();
    const log = new FormattedLog(inner, make(inner));
    await log.ensureTopics(specs);
    return { inner, log };
  };

  test('gives back the same bytes, whatever the record', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 8 }), async (records) => {
        const { log } = await open();
        const sent = records.map(([topic, each]) => out(topic, encodeRecord(each)));
        await log.append(sent);
        for (const topic of topics.keys()) {
          const expected = sent.filter((each) => each.topic === topic).map(({ value }) => Buffer.from(value!));
          expect(await values(log, topic)).toEqual(expected);
        }
        await log.close();
      }),
      { numRuns: 60 },
    );
  });

  test('lets through what is not ours: other topics, tombstones, other bytes', async () => {
    const { log, inner } = await open();
    const tick = encodeRecord({ type: 'Tick', time: 1 });
    const foreign = [Buffer.from('{"a":1}'), Buffer.from('{'), Buffer.from([0, 0, 0, 0, 1, 2]), Buffer.alloc(0)];
    await log.append([out('raw', tick), out('forecasts', null), ...foreign.map((value) => out('forecasts', value))]);
    expect(await values(inner, 'raw')).toEqual([Buffer.from(tick)]);
    expect(await values(log, 'forecasts')).toEqual([null, ...foreign]);
    await log.close();
  });

  test('writes of a task are formatted too', async () => {
    const { log, inner } = await open();
    const assigned = new Promise<void>((resolve) => {
      void log
        .join({ group: 'g', topics: ['readings'], memberId: 'm', onAssigned: () => resolve(), onRevoked: () => {} })
        .then((member) => {
          joined = member;
        });
    });
    let joined: Awaited<ReturnType<EventLog['join']>> | undefined;
    await assigned;
    await expect.poll(() => joined !== undefined).toBe(true);
    const writer = await joined!.openWriter(0);
    const reading = encodeRecord({
      ...{ type: 'Reading', device: 'd', time: 1, values: { t: 1 }, retained: false },
      ...{ redelivered: false, fingerprint: '' },
    });
    await writer.commit([out('readings', reading)], new Map([['readings', 0]]));
    expect(await values(log, 'readings')).toEqual([Buffer.from(reading)]);
    expect(await values(inner, 'readings')).toHaveLength(1);
    await writer.close();
    await joined!.leave();
    await log.close();
  });
});

describe('the topic of schemas', () => {
  test('holds each schema once under its fingerprint, before the first record', async () => {
    const inner = new MemoryLog();
    for (let i = 0; i < 2; i++) {
      const log = new FormattedLog(inner, new SchemasTopicFormat(inner, 'schemas', topics));
      await log.ensureTopics(specs);
      await log.append([out('readings', encodeRecord({ type: 'Tick', time: 1 }))]);
    }
    const found = await readAll(inner, 'schemas', 0);
    const names = ['Reading', 'Tick', 'Activation', 'Forecast', 'HistorySegment', 'DeadLetter'] as const;
    expect(found.map(({ key }) => Buffer.from(key!).toString())).toEqual(
      names.map((name) => headerFor(name).subarray(2).toString('hex')),
    );
    expect(Buffer.from(found[1]!.value!).toString()).toBe(schemaText('Tick'));
    await inner.close();
  });

  test('tells of the schemas of a later version', async () => {
    const inner = new MemoryLog();
    const log = new FormattedLog(inner, new SchemasTopicFormat(inner, 'schemas', topics));
    await log.ensureTopics(specs);
    const schema = JSON.parse(schemaText('Tick')) as { fields: object[] };
    schema.fields.push({ name: 'leap', type: 'int', default: 0 });
    const type = compileSchema(JSON.stringify(schema));
    const mark = fingerprint(type);
    const value = Buffer.concat([Buffer.from([0xc3, 1]), mark, type.toBuffer({ time: 9, leap: 1 })]);
    await log.append([out('readings', value)]);
    const key = Buffer.from(mark.toString('hex'));
    await inner.append([{ ...out('schemas', Buffer.from(JSON.stringify(schema))), key }]);
    const { decodeRecord } = await import('../../events/codec.ts');
    const [read] = await values(log, 'readings');
    expect(decodeRecord(read!)).toEqual({ type: 'Tick', time: 9 });
    await log.close();
  });

  test('keeps the order of appends, though the first has to wait for a schema', async () => {
    const inner = new MemoryLog();
    await inner.ensureTopics(specs);
    const log = new FormattedLog(inner, new SchemasTopicFormat(inner, 'schemas', topics));
    const ticks = Array.from({ length: 20 }, (_, time) => encodeRecord({ type: 'Tick', time }));
    const offsets = await Promise.all(ticks.map((tick) => log.append([out('readings', tick)])));
    expect(offsets.flat()).toEqual(ticks.map((_, i) => i));
    expect(await values(log, 'readings')).toEqual(ticks.map((tick) => Buffer.from(tick)));
    await log.close();
  });
});
