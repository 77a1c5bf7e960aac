import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-history-'));
const file = (name: string) => join(folder, name);
const HOUR = 3_600_000;
const START = Date.UTC(2026, 0, 1);
const iso = (hour: number) => new Date(START + hour * HOUR).toISOString();

/** A configuration with a data folder of its own. */
function fresh(name: string): string[] {
  writeFileSync(file(`${name}.yaml`), `log: {embedded: {path: ${file(name)}}}\ntopics: {partitions: 2}\n`);
  return ['--config', file(`${name}.yaml`)];
}

const rows = Array.from({ length: 120 }, (_, hour) => (hour === 50 ? [] : [hour])).flatMap(([hour]) =>
  hour === undefined
    ? []
    : [`pump1,level,${iso(hour)},${Math.sin(hour) / 3},4`, `"a/b, c",temp,${iso(hour)},${hour / 7},1`],
);

beforeAll(() => writeFileSync(file('in.csv'), `device,quantity,time,value,readings\n${rows.join('\n')}\n`));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('fleetcast history', () => {
  it('imports a table and exports the same, as CSV and as Parquet', async () => {
    const first = fresh('first');
    const imported = await cli(['history', 'import', file('in.csv'), ...first, '--json']);
    expect(JSON.parse(imported.out[0]!)).toMatchObject({ buckets: 238, kept: 0 });
    const { out } = await cli(['history', 'export', ...first]);
    expect(out.slice(1).sort()).toEqual([...rows].sort());
    const list = JSON.parse((await cli(['history', 'list', ...first, '--json'])).out[0]!);
    expect(list.map((row: { buckets: number; gaps: number }) => [row.buckets, row.gaps])).toEqual([
      [119, 1],
      [119, 1],
    ]);
    expect(list[0]).toMatchObject({ revision: 0, segments: 5 });

    expect((await cli(['history', 'export', ...first, '--out', file('all.parquet')])).code).toBe(0);
    expect(readFileSync(file('all.parquet')).subarray(0, 4).toString()).toBe('PAR1');
    const second = fresh('second');
    expect((await cli(['history', 'import', file('all.parquet'), ...second])).code).toBe(0);
    expect((await cli(['history', 'export', ...second])).out).toEqual(out);
    const part = ['--series', 'pump1/level', '--from', iso(10), '--to', iso(12)];
    expect((await cli(['history', 'export', ...second, ...part])).out).toHaveLength(3);

    const unknown = await cli(['history', 'export', ...second, '--series', 'pump1/levl']);
    expect(unknown).toMatchObject({ code: 2, out: [] });
    expect(unknown.notes[0]).toMatch(/^error USAGE: there is no history of pump1\/levl: did you mean pump1\/level\?/);
    const empty = await cli(['history', 'export', ...second, '--series', 'pump1/level', '--from', iso(1000)]);
    expect([empty.code, empty.notes[0]]).toEqual([2, expect.stringMatching(/has no buckets in 2026-02-11T/)]);

    // A look at a log with a mistyped prefix makes no topics.
    const typo = `log: {embedded: {path: ${file('first')}}}\ntopics: {partitions: 2, prefix: tpyo.}\n`;
    writeFileSync(file('typo.yaml'), typo);
    for (const look of [
      ['history', 'list'],
      ['models', 'list'],
      ['replay', '--verify'],
      ['explain', 'a/b'],
    ]) {
      const { code, notes } = await cli([...look, '--config', file('typo.yaml')]);
      expect([code, notes[0]]).toEqual([
        expect.any(Number),
        expect.stringMatching(/^error LOG_TOPIC_UNKNOWN: topic tpyo\.readings does not exist .*prefix "tpyo\."/),
      ]);
      expect(code).not.toBe(0);
    }
    expect((await cli(['tail', 'tpyo.models', ...first])).notes[0]).toMatch(/LOG_TOPIC_UNKNOWN/);

    const again = await cli(['history', 'import', file('all.parquet'), ...second]);
    expect(again.out.join(' ')).toContain('segments are in the history already');
    expect((await cli(['history', 'export', ...second])).out).toEqual(out);
  });

  it('shows and exports what was measured by a clock that stood decades back', async () => {
    const config = fresh('clock');
    appendFileSync(file('clock.yaml'), 'pipeline: {interval: 1s}\n');
    const [old, now] = [Date.UTC(2000, 0, 1), START + 5000];
    const lines = [`p,q,${new Date(old).toISOString()},1,1`, `p,q,${new Date(now).toISOString()},2,1`];
    writeFileSync(file('clock.csv'), `device,quantity,time,value,readings\n${lines.join('\n')}\n`);
    expect((await cli(['history', 'import', file('clock.csv'), ...config])).code).toBe(0);
    expect((await cli(['history', 'export', ...config])).out.slice(1)).toEqual(lines);
    const [row] = JSON.parse((await cli(['history', 'list', ...config, '--json'])).out[0]!);
    const again = await cli(['history', 'import', file('clock.csv'), ...config, '--json']);
    expect(JSON.parse(again.out[0]!)).toEqual({ buckets: 0, segments: 0, kept: 2 });
    const empty = (now - old) / 1000 - 1;
    expect(row).toMatchObject({ from: new Date(old).toISOString(), buckets: 2, gaps: 1, empty });
  });

  it('prints the names that devices have, and takes them everywhere, as it takes keys', async () => {
    const config = fresh('names');
    const lines = Array.from({ length: 60 }, (_, hour) => [
      `jena,rh (%),${iso(hour)},${hour}`,
      `a/b,c,${iso(hour)},1`,
      `a,b/c,${iso(hour)},2`,
    ]);
    writeFileSync(file('names.csv'), `device,quantity,time,value\n${lines.flat().join('\n')}\n`);
    const only = ['--series', 'jena/rh (%),a%2Fb/c,a/b%2Fc'];
    expect((await cli(['history', 'import', file('names.csv'), ...config, ...only])).code).toBe(0);
    const list = JSON.parse((await cli(['history', 'list', ...config, '--json'])).out[0]!);
    // The two that have one plain name are told apart by their keys.
    expect(list.map(({ series }: { series: string }) => series).sort()).toEqual(['a%2Fb/c', 'a/b%2Fc', 'jena/rh (%)']);
    for (const name of ['jena/rh (%)', 'jena/rh (%25)']) {
      const { out } = await cli(['history', 'export', ...config, '--series', name, '--out', '-']);
      expect(out).toHaveLength(61);
      const explained = await cli(['explain', name, ...config]);
      expect(explained.notes[0]).toContain('there is no forecast of jena/rh (%)');
    }
    const both = await cli(['history', 'export', ...config, '--series', 'a/b/c']);
    expect(both.notes[0]).toContain('a/b/c is the name of several series: say a%2Fb/c or a/b%2Fc');

    const wrong = ['--series', 'jena/hr (%)', ...config];
    for (const command of [['train'], ['backtest', '--start', iso(20)]]) {
      const { code, notes } = await cli([...command, ...wrong]);
      expect([code, notes[0]]).toEqual([2, expect.stringContaining('did you mean jena/rh (%)?')]);
    }
    const nowhere = await cli(['explain', '9/9', ...config]);
    expect([nowhere.code, nowhere.notes[0]]).toEqual([
      2,
      expect.stringContaining('there is no forecast at 9/…: forecasts has 2'),
    ]);
    const future = await cli(['backtest', '--start', '2030-01-01', ...config]);
    expect(future.out).toEqual([]);
    expect([future.code, future.notes.join(' ')]).toEqual([
      1,
      expect.stringContaining(
        'nothing to forecast from 2030-01-01T00:00:00.000Z on: the history ends at 2026-01-03T12:00',
      ),
    ]);
  });

  it('takes the conventions of publish: German numbers and times by themselves, others by options', async () => {
    const german = fresh('german');
    writeFileSync(file('german.csv'), 'Datum;level\n01.08.2026 00:00;20,05\n01.08.2026 01:00;21,5\n');
    expect((await cli(['history', 'import', file('german.csv'), ...german, '--device', 'p'])).code).toBe(0);
    const rows = ['p,level,2026-08-01T00:00:00.000Z,20.05,1', 'p,level,2026-08-01T01:00:00.000Z,21.5,1'];
    expect((await cli(['history', 'export', ...german])).out.slice(1)).toEqual(rows);

    const told = fresh('told');
    writeFileSync(file('told.csv'), 'device|quantity|time|value\np|level|01.08.26 02:00|1.020,05\n');
    const options = [
      '--delimiter',
      '|',
      '--decimal',
      'comma',
      '--time-format',
      'dd.MM.yy HH:mm',
      '--zone',
      'Europe/Berlin',
    ];
    expect(await cli(['history', 'import', file('told.csv'), ...told, ...options])).toMatchObject({
      code: 0,
      notes: [],
    });
    expect((await cli(['history', 'export', ...told])).out.slice(1)).toEqual([
      'p,level,2026-08-01T00:00:00.000Z,1020.05,1',
    ]);
    const wrong = await cli(['history', 'import', file('told.csv'), ...told, '--decimal', ';']);
    expect([wrong.code, wrong.notes[0]]).toEqual([2, expect.stringContaining('point or comma')]);
  });

  it('puts readings of a wide table into buckets, and names what it cannot take', async () => {
    const config = fresh('wide');
    writeFileSync(
      file('wide.csv'),
      `date,level\n${iso(0)},1\n${new Date(START + 1_800_000).toISOString()},2\n${iso(1)},5\n`,
    );
    const refused = await cli(['history', 'import', file('wide.csv'), ...config, '--device', 'p']);
    expect(refused.code).not.toBe(0);
    expect(refused.notes.join(' ')).toContain('--aggregate takes readings');
    expect((await cli(['history', 'import', file('wide.csv'), ...config, '--device', 'p', '--aggregate'])).code).toBe(
      0,
    );
    expect((await cli(['history', 'export', ...config])).out.slice(1)).toEqual([
      `p,level,${iso(0)},1.5,2`,
      `p,level,${iso(1)},5,1`,
    ]);
    writeFileSync(file('bad.csv'), `device,quantity,time,value\np,level,${iso(5)},much\n`);
    const bad = await cli(['history', 'import', file('bad.csv'), ...config]);
    expect(bad.notes.join(' ')).toContain('bad.csv, row 2: "much" is no number');
    writeFileSync(file('no.parquet'), 'nothing');
    const no = await cli(['history', 'import', file('no.parquet'), ...config]);
    expect([no.code === 0, no.notes.join(' ').includes('no.parquet')]).toEqual([false, true]);
  });
});
