import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { dataFile } from '../../../test/data-folder.ts';
import { type Broker, startBroker } from '../broker/broker.ts';
import { connectPublisher, type Publisher } from '../mqtt/publisher.ts';
import { type PlayOptions, playCsv } from './player.ts';

let broker: Broker;
let folder: string;
let publisher: Publisher;
beforeAll(async () => {
  broker = await startBroker({ port: 0 });
  folder = await mkdtemp(join(tmpdir(), 'fleetcast-csv-'));
});
afterAll(async () => {
  await broker.close();
  await rm(folder, { recursive: true });
});
afterEach(async () => {
  await publisher?.end(100);
});

/** Plays over the broker and gives back what was published. */
async function play(options: Omit<PlayOptions, 'publisher' | 'now'>) {
  publisher = await connectPublisher({ url: broker.url });
  const sent: { topic: string; payload: Record<string, number> }[] = [];
  const spy: Publisher = Object.create(publisher, {
    publish: {
      value: (topic: string, payload: string, ...rest: [never, never]) => {
        sent.push({ topic, payload: JSON.parse(payload) as Record<string, number> });
        return publisher.publish(topic, payload, ...rest);
      },
    },
    flush: { value: () => publisher.flush() },
  }) as Publisher;
  const result = await playCsv({ ...options, publisher: spy, now: Date.now });
  return { result, sent };
}

async function csv(name: string, text: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe('playCsv', () => {
  it('finds out German conventions by itself', async () => {
    const file = await csv('german.csv', 'Datum;Temp;Druck\n01.08.2026 00:00;20,05;1.013,25\n1.8.2026 01:00;-3,5;\n');
    const { result, sent } = await play({ file });
    expect(sent.map(({ payload }) => payload)).toEqual([
      { time: Date.UTC(2026, 7, 1), Temp: 20.05, Druck: 1013.25 },
      { time: Date.UTC(2026, 7, 1, 1), Temp: -3.5 },
    ]);
    expect(result).toMatchObject({ skipped: {}, firstSkipped: undefined, badCells: 0 });
  });

  it.each([
    ['day first', 'time,t\n13/08/2026 00:00,1\n', Date.UTC(2026, 7, 13)],
    [
      'month first, seen in a later row',
      'time,t\n08/01/2026 1:30:15 PM,1\n08/13/2026 1:30:15 PM,2\n',
      Date.UTC(2026, 7, 1, 13, 30, 15),
    ],
    ['a date alone', 'date,t\n01.08.2026,1\n', Date.UTC(2026, 7, 1)],
  ])('reads times with %s', async (name, text, time) => {
    const { sent } = await play({ file: await csv(`${name}.csv`, text) });
    expect(sent[0]!.payload['time']).toBe(time);
  });

  it.each([
    [
      'time,t\n01/02/2026 00:00,1\n',
      /"01\/02\/2026 00:00" may begin with the day or the month: say --time-format "d\/M/,
    ],
    ['time;t\n2026-01-01;1,234\n', /no column holds numbers; cells such as "1,234" do .* comma \(--decimal comma\)/],
    ['time;t;u\n2026-01-01;20,05;x 1.5\n2026-01-02;20,05;7.5\n', /no column holds numbers; cells such as "20,05"/],
  ])('guesses nothing in %j', async (text, message) => {
    await expect(play({ file: await csv('unclear.csv', text) })).rejects.toThrow(message);
  });

  it('plays what the options choose, with decimal comma, missing values and a device column', async () => {
    const file = await csv(
      'a.csv',
      'Station;Datum;Temp °C;Druck;Notiz\nnord;31.12.2020 23:30;1,5;-9999;ok\nsüd/1;01.01.2021 00:30;;1.013,25;x\nnord;??;1;2;x\n;01.01.2021 00:30;1;2;x\nnord;01.01.2021 01:30;abc;7;x\n',
    );
    const { result, sent } = await play({
      file,
      timeFormat: 'dd.MM.yyyy HH:mm',
      zone: 'Europe/Berlin',
      decimal: ',',
      missing: ['-9999'],
      deviceColumn: 'Station',
      columns: ['Temp °C', { column: 'Druck', quantity: 'pressure' }],
      topic: 'site/{device}/out',
    });
    expect(sent).toEqual([
      { topic: 'site/nord/out', payload: { time: Date.UTC(2020, 11, 31, 22, 30), 'Temp °C': 1.5 } },
      { topic: 'site/süd_1/out', payload: { time: Date.UTC(2020, 11, 31, 23, 30), pressure: 1013.25 } },
      { topic: 'site/nord/out', payload: { time: Date.UTC(2021, 0, 1, 0, 30), pressure: 7 } },
    ]);
    expect(result).toMatchObject({
      rows: 5,
      published: 3,
      acknowledged: 3,
      skipped: { 'bad-time': 1, 'no-device': 1 },
      badCells: 1,
      firstBadCell: 'row 5, column Temp °C: "abc"',
      interrupted: false,
    });
  });

  it('takes every column of numbers by itself, and a time that goes back as it stands', async () => {
    const file = await csv(
      'b.csv',
      'time,v,label\n2020-01-01T00:00:02Z,1,a\n2020-01-01T00:00:01Z,2,b\n1577836800,,c\n',
    );
    const { result, sent } = await play({ file });
    expect(sent.map(({ payload }) => payload)).toEqual([
      { time: 1_577_836_802_000, v: 1 },
      { time: 1_577_836_801_000, v: 2 },
    ]);
    expect(result.skipped).toEqual({ 'no-values': 1 });
    expect(result.quantities).toEqual(['v']);
  });

  it('reads Latin-1 and UTF-16 headers', async () => {
    const latin = await csv('l.csv', Buffer.from('date,µ\n2020-01-01,1\n', 'latin1'));
    expect((await play({ file: latin })).result.quantities).toEqual(['µ']);
    const wide = await csv('w.csv', Buffer.from('\ufeffdate\tµ\n2020-01-01\t1\n', 'utf16le'));
    expect((await play({ file: wide })).sent[0]?.payload).toEqual({ time: 1_577_836_800_000, µ: 1 });
  });

  it('goes on where an earlier run was acknowledged', async () => {
    const rows = Array.from({ length: 100 }, (_, i) => `${1_600_000_000 + i},${i}`);
    const file = await csv('r.csv', `time,v\n${rows.join('\n')}\n`);
    const positionFile = join(folder, 'r.position');
    const first = await play({ file, positionFile, maxRows: 40 });
    expect(first.result.acknowledged).toBe(40);
    expect(JSON.parse(await readFile(positionFile, 'utf8'))).toMatchObject({ rows: 40 });
    const second = await play({ file, positionFile });
    expect(second.result).toMatchObject({ resumedAt: 40, rows: 100, published: 60, acknowledged: 60 });
    expect(second.sent[0]?.payload['v']).toBe(40);
    await expect(play({ file, positionFile, topic: 'x/{device}' })).rejects.toMatchObject({ code: 'CSV_INVALID' });
  });

  it('keeps the pace, and stops when it is told to', async () => {
    const file = await csv('p.csv', 'time,v\n1600000000,1\n1600003600,2\n1609999999,3\n');
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    const { result } = await play({ file, speed: 36_000, signal: stop.signal });
    expect(result).toMatchObject({ published: 2, acknowledged: 2, interrupted: true });
  });

  it('says what is wrong with a file', async () => {
    const noTime = await csv('n.csv', 'a,b\n1,2\n');
    await expect(play({ file: noTime })).rejects.toThrow(/which column holds the time/);
    await expect(play({ file: noTime, timeColumn: 'c' })).rejects.toThrow(/no column "c"; it has a, b/);
    await expect(play({ file: join(folder, 'absent.csv') })).rejects.toMatchObject({ code: 'CSV_INVALID' });
    await expect(play({ file: await csv('e.csv', '') })).rejects.toMatchObject({ code: 'CSV_INVALID' });
    await expect(play({ file: await csv('t.csv', 'time,a,a\n1,2,3\n') })).rejects.toThrow(/twice/);
    await expect(play({ file: await csv('z.csv', 'time,a\n1,2\n'), topic: 'a/#' })).rejects.toThrow(/publish/);
  });
});

describe('the real files', () => {
  it.skipIf(dataFile('README.md') === undefined)('all play', async () => {
    const jena = await play({ file: dataFile('jena-weather-2020/weather.csv')!, missing: ['-9999'], maxRows: 1000 });
    expect(jena.result).toMatchObject({ rows: 1000, acknowledged: 1000, badCells: 0, skipped: {} });
    expect(jena.result.quantities).toHaveLength(21);
    expect(jena.result.quantities).toContain('T (degC)');
    const office = await play({ file: dataFile('occupancy/datatraining.txt')!, maxRows: 500 });
    expect(office.result.quantities).toEqual(['Temperature', 'Humidity', 'Light', 'CO2', 'HumidityRatio', 'Occupancy']);
    expect(office.sent[0]?.payload).toMatchObject({ time: Date.UTC(2015, 1, 4, 17, 51), Temperature: 23.18 });
    for (const name of ['nab/machine_temperature_system_failure', 'nab/TravelTime_387', 'nab/nyc_taxi', 'ett/ETTh1']) {
      const { result } = await play({ file: dataFile(`${name}.csv`)!, maxRows: 2000 });
      expect(result.acknowledged).toBe(result.rows);
    }
    const [back] = [await play({ file: dataFile('nab/machine_temperature_system_failure.csv')! })];
    expect(back.result).toMatchObject({ rows: 22_695, acknowledged: 22_695 });
    const times = back.sent.map(({ payload }) => payload['time']!);
    expect(times.some((time, i) => i > 0 && time < times[i - 1]!)).toBe(true);
  });
});
