import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../src/service/configuration/load.ts';
import { createLogger } from '../../src/service/logging/logger.ts';
import { type Service, startService } from '../../src/service/service.ts';
import { cli } from './run-cli.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2021, 0, 4);
const ROWS = 600;

describe('publish, run, tail, train, evaluate and models on one embedded log', () => {
  let folder: string;
  let config: string[];
  let service: Service;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fleetcast-life-'));
    const file = join(folder, 'fleetcast.yaml');
    writeFileSync(
      file,
      [
        'broker: {embedded: {port: 0}}',
        'log: {embedded: {path: data}}',
        'http: {enabled: false}',
        'topics: {partitions: 1}',
        'pipeline: {lookback: 48, horizon: 12, grace: 0s}',
        'learner: {enabled: false, width: 8}',
      ].join('\n'),
    );
    const rows = Array.from({ length: ROWS }, (_, hour) => {
      const t = new Date(START + hour * HOUR).toISOString().slice(0, 16).replace('T', ' ');
      const wave = (shift: number) => (20 + 6 * Math.sin(((hour + shift) * Math.PI) / 12) + (hour % 7)).toFixed(2);
      return `${t},${wave(0)},${hour === 10 ? '-9999' : wave(5)}`;
    });
    writeFileSync(join(folder, 'plant.csv'), `time,temp,flow\n${rows.join('\n')}\n`);
    config = ['--config', file];
    service = await startService({
      configuration: loadConfiguration(file),
      logger: createLogger({ level: 'silent' }),
    });
  });
  afterAll(async () => {
    await service?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const lines = (out: readonly string[]) =>
    out.map((line) => JSON.parse(line) as { key: string | null; value: Record<string, unknown> });

  it('publishes a CSV, every row acknowledged, and goes on where it was', async () => {
    const publish = (...more: string[]) =>
      cli([
        ...['publish', '--csv', join(folder, 'plant.csv'), '--broker', service.brokerUrl, '--missing', '-9999'],
        ...['--resume', join(folder, 'position.json'), '--json', ...more],
      ]);
    const first = await publish('--rows', '200');
    expect([first.code, JSON.parse(first.out[0]!)]).toMatchObject([0, { rows: 200, acknowledged: 200 }]);
    const rest = await publish();
    expect([rest.code, JSON.parse(rest.out[0]!)]).toMatchObject([0, { rows: ROWS, resumedAt: 200, acknowledged: 400 }]);
    const nowhere = await cli(['publish', '--csv', join(folder, 'plant.csv'), '--broker', 'mqtt://127.0.0.1:1']);
    expect([nowhere.code, nowhere.notes[0]]).toEqual([1, expect.stringMatching(/^error BRIDGE_CONNECT/)]);
  });

  it('shows records from the end, from an offset, from a time and following', async () => {
    await expect.poll(() => service.view.forecasts.total, { timeout: 60_000 }).toBeGreaterThanOrEqual(2 * (ROWS - 2));
    const last = await cli(['tail', 'forecasts', ...config, '--last', '3']);
    expect(last.code).toBe(0);
    expect(lines(last.out).map(({ value }) => value['type'])).toEqual(['Forecast', 'Forecast', 'Forecast']);
    const readings = lines((await cli(['tail', 'readings', ...config, '--from-start'])).out);
    const values = readings.filter(({ value }) => value['type'] === 'Reading');
    expect(values).toHaveLength(ROWS);
    expect(values[10]?.value['values']).toEqual({ temp: expect.any(Number) });
    // A quiet fleet has nothing but ticks at the end: what is asked for is found further back.
    const device = values[0]!.key as string;
    const quiet = await cli(['tail', 'readings', ...config, '--last', '12', '--type', 'Reading', '--key', device]);
    expect(lines(quiet.out).map(({ key, value }) => [key, value['type']])).toEqual(Array(12).fill([device, 'Reading']));
    expect(lines(quiet.out)).toEqual(values.filter(({ key }) => key === device).slice(-12));
    const typo = await cli(['tail', 'readings', ...config, '--type', 'Reding']);
    expect([typo.code, typo.notes[0]]).toEqual([2, expect.stringMatching(/no type Reding: did you mean Reading\?/)]);
    const from = await cli(['tail', 'forecasts', ...config, '--from', '100', '--limit', '2']);
    expect(lines(from.out)).toMatchObject([{ offset: 100 }, { offset: 101 }]);
    expect((await cli(['tail', 'forecasts', ...config, '--from-time', '2999-01-01'])).out).toEqual([]);
    const stop = new AbortController();
    const following = cli(['tail', 'readings', ...config, '--last', '0', '--follow', '--limit', '1'], stop.signal);
    expect(lines((await following).out)).toMatchObject([{ value: { type: 'Tick' } }]);
    const unknown = await cli(['tail', 'forecast', ...config]);
    expect([unknown.code, unknown.notes[0]]).toEqual([
      1,
      expect.stringMatching(/^error LOG_TOPIC_UNKNOWN: no topic forecast: did you mean forecasts\?/),
    ]);
  });

  it('trains, evaluates, promotes and rolls back', async () => {
    const none = await cli(['evaluate', ...config]);
    expect([none.code, none.notes[0]]).toEqual([1, expect.stringMatching(/^error MODEL_UNKNOWN: no model is in use/)]);
    const trained = await cli(['train', ...config, '--trainer', 'ridge', '--activate']);
    expect(trained.code, trained.notes.join('\n')).toBe(0);
    const text = trained.out.join('\n');
    expect(text).toContain('Total params');
    expect(text).toMatch(/seasonal-naive +\d/);
    expect(trained.notes[0]).toContain('inputs 0 … 47 (width 48)');
    const listed = await cli(['models', 'list', ...config, '--json']);
    const [model] = JSON.parse(listed.out[0]!) as { id: string; status: string }[];
    expect(model).toMatchObject({ family: 'ridge', status: 'champion' });
    const evaluated = await cli(['evaluate', ...config, '--json']);
    expect(JSON.parse(evaluated.out[0]!)).toMatchObject({ id: model?.id, part: 'test' });
    expect((await cli(['evaluate', model!.id.slice(0, 10), ...config, '--by-steps'])).out.join('\n')).toMatch(
      /\n +12 /,
    );
    const small = ['--max-steps', '10', '--json', '--no-flush'];
    const stacked = ['--family', 'lstm', '--recurrent-layers', '2', '--decoding', 'autoregressive', '--width', '4'];
    const plain = await cli(['train', ...config, ...stacked, ...small]);
    expect(plain.code, plain.notes.join('\n')).toBe(0);
    expect(JSON.parse(plain.out[0]!)).toMatchObject({
      family: 'lstm',
      architecture: { layers: 2, decoding: 'autoregressive', width: 4 },
    });
    // The width is the parent's where none is asked for, and not the configuration's.
    const { id: parent } = JSON.parse(plain.out[0]!) as { id: string };
    const warm = await cli(['train', ...config, ...stacked.slice(0, -2), '--parent', parent, ...small]);
    expect(warm.code, warm.notes.join('\n')).toBe(0);
    expect(JSON.parse(warm.out[0]!)).toMatchObject({ architecture: { width: 4 } });
    const layers = join(folder, 'layers.yaml');
    writeFileSync(layers, '- {type: GRU, units: 4}\n- {type: Dense, units: 12}\n');
    const own = await cli(['train', ...config, '--layers', layers, ...small]);
    expect(own.code, own.notes.join('\n')).toBe(0);
    expect(JSON.parse(own.out[0]!)).toMatchObject({ family: 'sequential' });
    writeFileSync(layers, '- {type: GRU, unit: 4}\n');
    expect((await cli(['train', ...config, '--layers', layers, ...small])).notes[0]).toContain('layer gru (GRU)');
    expect((await cli(['train', ...config, '--family', 'sequential'])).code).toBe(2);
    const back = await cli(['models', 'rollback', ...config]);
    expect(back.notes[0]).toMatch(/^error MODEL_UNKNOWN/);
    expect((await cli(['models', 'retire', model!.id.slice(0, 8), ...config])).code).toBe(0);
    expect((await cli(['models', 'promote', model!.id.slice(0, 8), ...config])).code).toBe(0);
    const shown = (await cli(['models', 'show', model!.id.slice(0, 8), ...config])).out.join('\n');
    expect(shown).toMatch(/promoted: .*[\s\S]*retired: by hand[\s\S]*promoted: by hand/);
    expect((await cli(['models', 'show', 'ffff', ...config])).notes[0]).toMatch(/^error MODEL_UNKNOWN/);
  });

  it('lists and exports the history', async () => {
    const listed = await cli(['history', 'list', ...config, '--json']);
    const rows = JSON.parse(listed.out[0]!) as { series: string; buckets: number; empty: number }[];
    expect(rows.map(({ series }) => series)).toEqual(['plant/flow', 'plant/temp']);
    expect(rows[0]).toMatchObject({ empty: 1, gaps: 1 });
    expect(rows[1]!.buckets - rows[0]!.buckets).toBe(1);
    const exported = await cli(['history', 'export', ...config, '--series', 'plant/temp']);
    expect(exported.out.slice(0, 2)).toEqual([
      'device,quantity,time,value,readings',
      `plant,temp,${new Date(START).toISOString()},20,1`,
    ]);
    expect(exported.out).toHaveLength(rows[1]!.buckets + 1);
  });

  it('replays, explains and rebuilds, all bit for bit', async () => {
    const verified = await cli(['replay', '--verify', ...config]);
    expect([verified.code, verified.notes, verified.out.at(-1)]).toEqual([0, [], 'identical, byte for byte']);
    const replayed = await cli(['replay', '--prefix', 'again.', ...config, '--json']);
    expect(JSON.parse(replayed.out[0]!)).toMatchObject({ outputs: { forecasts: expect.any(Number) } });
    expect((await cli(['tail', 'again.forecasts', ...config, '--last', '1'])).out).toHaveLength(1);
    const twice = await cli(['replay', '--prefix', 'again.', ...config]);
    expect([twice.code, twice.notes[0]]).toEqual([2, expect.stringContaining('holds records already')]);
    const explained = await cli(['explain', 'plant/temp', ...config]);
    expect(explained.code, explained.notes.join('\n')).toBe(0);
    expect(explained.out.join('\n')).toMatch(/made again identical[\s\S]*buckets that it copies[\s\S]*unit of temp/);
    expect((await cli(['explain', '0/5', ...config, '--json'])).code).toBe(0);
    expect((await cli(['explain', 'nonsense', ...config])).code).toBe(2);
    const listed = await cli(['models', 'list', ...config, '--json']);
    const [model] = JSON.parse(listed.out[0]!) as { id: string }[];
    const rebuilt = await cli(['rebuild', model!.id.slice(0, 8), ...config]);
    expect([rebuilt.code, rebuilt.out[0]]).toEqual([0, expect.stringContaining('weights have the same bits')]);
  });

  it('begins anew after a reset, which says what goes and wants a yes', async () => {
    const busy = await cli(['reset', ...config, '--yes']);
    expect([busy.code, busy.notes[0]]).toEqual([1, expect.stringContaining('LOG_GROUP_BUSY')]);
    await service.stop();
    const look = await cli(['reset', ...config, '--dry-run', '--json']);
    const report = JSON.parse(look.out[0]!);
    expect(report).toMatchObject({
      group: 'forecasting',
      dropped: false,
      tasks: [{ task: expect.any(String), keys: expect.any(Number) }],
    });
    expect(report.offsets).toEqual([expect.objectContaining({ topic: 'readings', partition: 0, earliest: 0 })]);
    const asked = await cli(['reset', ...config]);
    expect([asked.code, asked.notes[0]]).toEqual([2, expect.stringContaining('nothing was dropped: add --yes')]);
    expect(asked.out.join('\n')).toMatch(
      /would drop .*\n {2}state of 1 tasks with \d+ keys \(\d+ records of the topic state\)[\s\S]*from offset \d+ back to 0/,
    );
    const done = JSON.parse((await cli(['reset', ...config, '--yes', '--json'])).out[0]!);
    expect(done).toEqual({ ...report, dropped: true });
    expect((await cli(['reset', ...config, '--dry-run'])).out[0]).toMatch(/^nothing to drop/);
  });
});
