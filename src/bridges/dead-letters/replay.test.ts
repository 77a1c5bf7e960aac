import { beforeEach, describe, expect, it } from 'vitest';
import { afterQuality, TOPICS as BRIDGE, bridgeTopics, deadLettersOf, readingsOf } from '../../../test/bridge-kit.ts';
import { decodeRecord, encodeRecord } from '../../events/codec.ts';
import type { DeadLetter, Reading } from '../../events/records.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import type { MappingConfig } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { RecordMaker, smallerDeadLetter } from '../mqtt/record-maker.ts';
import { encodePayload } from '../sparkplug/payload.ts';
import { replayDeadLetters } from './replay.ts';

const strict: MappingConfig = { rules: [{ topic: 'a/+device', values: { t: 't' } }] };
const mended: MappingConfig = { rules: [{ topic: 'a/+device', values: { t: { path: 't', numericText: true } } }] };
const ARRIVAL = Date.UTC(2024, 0, 1);
const NOW = Date.UTC(2024, 0, 2);
const TOPICS = { ...BRIDGE, memory: 'bridge-memory' };
let log: MemoryLog;

beforeEach(async () => {
  log = new MemoryLog();
  await bridgeTopics(log);
  await log.ensureTopics([{ name: TOPICS.memory, partitions: 1, cleanup: 'compact' }]);
  const maker = new RecordMaker(
    compileMapping(strict),
    { readings: { name: TOPICS.readings, partitions: 4 }, deadLetters: { name: TOPICS.deadLetters, partitions: 1 } },
    1000,
  );
  for (const [topic, payload] of [
    ['a/x', '{"t":"21.5"}'],
    ['a/y', '{"t":"warm"}'],
    ['a/z', '{"t":"-3"}'],
  ] as const) {
    const message = { topic, payload: Buffer.from(payload), retained: false, duplicate: false };
    await log.append(maker.make(message, ARRIVAL));
  }
});

const replay = (options: object = {}) =>
  replayDeadLetters({ log, mapping: compileMapping(mended), topics: TOPICS, now: () => NOW, ...options });

describe('replayDeadLetters', () => {
  it('turns what the mended mapping understands into readings, once', async () => {
    expect(await readingsOf(log)).toEqual([]);
    expect(await replay()).toEqual({
      letters: 3,
      mended: 2,
      again: 0,
      readings: 2,
      stillBad: { 'not-a-number': 1 },
      forgotten: 0,
      skipped: 0,
      cut: 0,
    });
    const readings = await readingsOf(log);
    expect(readings.map(({ device, values, time, redelivered }) => [device, values['t'], time, redelivered])).toEqual(
      expect.arrayContaining([
        ['x', 21.5, ARRIVAL, true],
        ['z', -3, ARRIVAL, true],
      ]),
    );
    expect(await deadLettersOf(log)).toHaveLength(3);
    expect(await replay()).toMatchObject({ letters: 1, mended: 0, readings: 0, stillBad: { 'not-a-number': 1 } });
    expect(await replay({ all: true })).toMatchObject({ letters: 3, readings: 2 });
  });

  it('tries again what was still bad, and only that, until the mapping takes it', async () => {
    expect(await replay({ mapping: compileMapping(strict) })).toMatchObject({ letters: 3, mended: 0 });
    expect(await replay({ reasons: ['not-a-number'] })).toMatchObject({ letters: 3, mended: 2 });
    expect(await replay({ mqttTopic: 'a/x' })).toMatchObject({ letters: 1, mended: 0, skipped: 1 });
    const warm = { rules: [{ topic: 'a/+device', transform: '{"t": t = "warm" ? 25 : t}', values: { t: 't' } }] };
    const taken = compileMapping(warm);
    expect(await replay({ mapping: taken })).toMatchObject({ letters: 1, mended: 1, stillBad: {} });
    expect(await replay({ mapping: taken })).toMatchObject({ letters: 0, readings: 0 });
  });

  it('chooses by reason and topic, and only says what would be', async () => {
    expect(await replay({ mqttTopic: 'a/z' })).toMatchObject({ readings: 1, skipped: 2 });
    expect(await replay({ reasons: ['not-json'] })).toMatchObject({ readings: 0, skipped: 2 });
    expect(await readingsOf(log)).toHaveLength(1);
    expect(await replay({ dryRun: true })).toMatchObject({ readings: 1 });
    expect(await readingsOf(log)).toHaveLength(1);
    expect(await replay()).toMatchObject({ letters: 2, readings: 1 });
  });

  it('puts each letter through once, however it is chosen', async () => {
    const reasons = ['not-a-number'];
    expect(await replay({ reasons, dryRun: true })).toMatchObject({ letters: 3, readings: 2 });
    expect(await replay({ reasons })).toMatchObject({ letters: 3, readings: 2 });
    for (const again of [{ reasons }, { reasons, mqttTopic: 'a/#' }, { mqttTopic: 'a/+' }, {}, { dryRun: true }]) {
      expect(await replay(again), JSON.stringify(again)).toMatchObject({ letters: 1, mended: 0, readings: 0 });
    }
    expect(await readingsOf(log)).toHaveLength(2);
    expect(await replay({ reasons, all: true })).toMatchObject({ letters: 3, readings: 2 });
  });

  it('appends readings again that an operator has turned away', async () => {
    const reading: Reading = {
      type: 'Reading',
      device: 'pump',
      time: ARRIVAL,
      values: { t: 400 },
      retained: false,
      redelivered: false,
      fingerprint: '0011223344556677',
    };
    const letter = {
      type: 'DeadLetter',
      reason: 'out-of-range',
      message: '',
      time: ARRIVAL,
      origin: 'readings',
      mqttTopic: '',
      partition: 0,
      offset: 1,
      device: 'pump',
    } as const;
    const write = (payload: Buffer) =>
      log.append([
        {
          topic: TOPICS.deadLetters,
          partition: 0,
          timestamp: ARRIVAL,
          key: null,
          value: encodeRecord({ ...letter, payload }),
        },
      ]);
    await write(encodeRecord(reading));
    await write(Buffer.from('something else'));
    expect(await replay({ reasons: ['out-of-range'] })).toMatchObject({ mended: 0, again: 1, readings: 1, skipped: 4 });
    expect(await replay({ reasons: ['out-of-range'] })).toMatchObject({ again: 0, readings: 0 });
    const again = await readingsOf(log);
    expect(again).toEqual([{ ...reading, redelivered: true, fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) }]);
    expect(again[0]!.fingerprint).not.toBe(reading.fingerprint);
  });

  it('takes a sensor that says the same again for several readings, and the same letter for one', async () => {
    const same = { topic: 'a/still', payload: Buffer.from('{"t":"7"}'), retained: false, duplicate: false };
    const maker = new RecordMaker(
      compileMapping(strict),
      { readings: { name: TOPICS.readings, partitions: 4 }, deadLetters: { name: TOPICS.deadLetters, partitions: 1 } },
      1000,
    );
    for (let i = 0; i < 3; i++) await log.append(maker.make(same, ARRIVAL + i * 60_000));
    const still = { mqttTopic: 'a/still' };
    expect(await replay(still)).toMatchObject({ readings: 3 });
    expect(await replay({ ...still, all: true })).toMatchObject({ readings: 3 });
    expect(await replay({ all: true })).toMatchObject({ readings: 5 });
    const times = (await afterQuality(log))
      .filter(({ device }) => device === 'still')
      .map(({ time }) => time - ARRIVAL);
    expect(times).toEqual([0, 60_000, 120_000]);
  });

  it('takes the letters of one message for one', async () => {
    for (const reason of ['not-a-number', 'not-json']) {
      const letter = {
        type: 'DeadLetter',
        reason,
        message: '',
        time: ARRIVAL,
        origin: 'mqtt',
        mqttTopic: 'a/two',
        partition: -1,
        offset: -1,
        device: 'two',
        payload: Buffer.from('{"t":"8"}'),
      } as const;
      const value = encodeRecord(letter);
      await log.append([{ topic: TOPICS.deadLetters, partition: 0, timestamp: ARRIVAL, key: null, value }]);
    }
    expect(await replay({ mqttTopic: 'a/two' })).toMatchObject({ letters: 5, mended: 2 });
    expect((await afterQuality(log)).map(({ device }) => device)).toEqual(['two']);
  });

  it('never takes the beginning of a message for the whole', async () => {
    const numbers: MappingConfig = { rules: [{ topic: 'k/+device', format: 'key-value', values: { last: 'last' } }] };
    const compiled = compileMapping({ ...numbers, limits: { maxPayloadBytes: 4 } });
    const maker = new RecordMaker(
      compiled,
      { readings: { name: TOPICS.readings, partitions: 4 }, deadLetters: { name: TOPICS.deadLetters, partitions: 1 } },
      10,
    );
    const make = (topic: string, text: string) =>
      maker.make({ topic, payload: Buffer.from(text), retained: false, duplicate: false }, ARRIVAL);
    const [cut] = make('k/cut', 'last=1234567');
    const [whole] = make('k/whole', 'last=12345');
    const [refused] = make('k/refused', 'last=12345');
    const smaller = smallerDeadLetter(refused!)!;
    expect(decodeRecord(cut!.value!)).toMatchObject({ cutFrom: 12 });
    expect(decodeRecord(whole!.value!)).toMatchObject({ cutFrom: 0 });
    expect(decodeRecord(smaller.value!)).toMatchObject({ cutFrom: 10 });
    expect(decodeRecord(smallerDeadLetter(cut!)!.value!)).toMatchObject({ cutFrom: 12 });
    // As an earlier version wrote them: only the message tells.
    const old = [cut!, smaller].map((record) => ({
      ...record,
      value: encodeRecord({ ...(decodeRecord(record.value!) as DeadLetter), cutFrom: 0 }),
    }));
    await log.append([cut!, whole!, smaller, ...old]);
    const mapping = compileMapping(numbers);
    const said = await replay({ mapping, mqttTopic: 'k/#' });
    expect(said).toMatchObject({ cut: 4, mended: 1, readings: 1, stillBad: {} });
    expect((await readingsOf(log)).map(({ device, values }) => [device, values])).toEqual([['whole', { last: 12345 }]]);
    expect(await deadLettersOf(log)).toHaveLength(8);
  });

  it('reads Sparkplug messages with the births that came after them', async () => {
    const config: MappingConfig = { rules: [{ preset: 'sparkplug' }] };
    const maker = new RecordMaker(
      compileMapping(config),
      {
        readings: { name: TOPICS.readings, partitions: 4 },
        deadLetters: { name: TOPICS.deadLetters, partitions: 1 },
        memory: { name: TOPICS.memory, partitions: 1 },
      },
      1000,
    );
    const take = (topic: string, payload: Uint8Array) =>
      log.append(maker.make({ topic, payload: Buffer.from(payload), retained: false, duplicate: false }, ARRIVAL));
    const time = ARRIVAL - 1000;
    await take(
      'spBv1.0/g/NDATA/n',
      encodePayload({ timestamp: time, seq: 1, metrics: [{ alias: 7, timestamp: time, doubleValue: 5 }] }),
    );
    const metrics = [
      { name: 'bdSeq', datatype: 8, longValue: 1 },
      { name: 'temp', alias: 7, datatype: 10, doubleValue: 4 },
    ];
    await take('spBv1.0/g/NBIRTH/n', encodePayload({ timestamp: ARRIVAL, seq: 0, metrics }));
    const options = { mapping: compileMapping(config), mqttTopic: 'spBv1.0/#' };
    expect(await replay(options)).toMatchObject({ mended: 1, readings: 1, stillBad: {} });
    const late = (await readingsOf(log)).filter((reading) => reading.time === time);
    expect(late).toEqual([expect.objectContaining({ device: 'g/n', values: { temp: 5 } })]);
  });

  it('remembers what other choices have done through another round of one', async () => {
    expect(await replay({ mqttTopic: 'a/z' })).toMatchObject({ readings: 1 });
    expect(await replay({ mqttTopic: 'a/x', all: true })).toMatchObject({ readings: 1 });
    expect(await replay({ mqttTopic: 'a/z' })).toMatchObject({ readings: 0 });
    expect(await replay({ mqttTopic: 'a/z', all: true })).toMatchObject({ readings: 1 });
  });

  it('keeps a letter open of whose message a part still cannot be read, and brings nothing back', async () => {
    const mapping = compileMapping({ rules: [{ topic: 'lora/+device', format: 'milesight' }] });
    const topics = {
      readings: { name: TOPICS.readings, partitions: 4 },
      deadLetters: { name: TOPICS.deadLetters, partitions: 1 },
    };
    const payload = Buffer.from('0175640b9901', 'hex');
    const message = { topic: 'lora/a', payload, retained: false, duplicate: false };
    await log.append(new RecordMaker(mapping, topics, 1000).make(message, ARRIVAL));
    const [letter] = (await deadLettersOf(log)).filter(({ mqttTopic }) => mqttTopic === 'lora/a');
    expect(letter).toMatchObject({ reason: 'partly-read', device: 'a', payload });
    const options = { mqttTopic: 'lora/a', mapping };
    const before = (await readingsOf(log)).length;
    expect(before).toBe(1);
    for (let round = 0; round < 2; round++) {
      expect(await replay(options)).toMatchObject({ mended: 0, readings: 0, stillBad: { 'partly-read': 1 } });
    }
    expect(await readingsOf(log)).toHaveLength(before);
    // A version that knows the channel.
    const knowing = {
      ...mapping,
      map: (...of: Parameters<typeof mapping.map>) => ({ ...mapping.map(...of), rejected: [] }),
    };
    expect(await replay({ ...options, mapping: knowing })).toMatchObject({ mended: 1, readings: 1 });
  });

  it('refuses a filter that is none', async () => {
    await expect(replay({ mqttTopic: 'a/b#/c' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('needs its topics', async () => {
    const empty = new MemoryLog();
    const options = { log: empty, mapping: compileMapping(mended), topics: TOPICS, now: () => NOW };
    await expect(replayDeadLetters(options)).rejects.toMatchObject({ code: 'LOG_TOPIC_UNKNOWN' });
  });
});
