import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { exampleConfiguration } from '../../src/service/configuration/example.ts';
import { cli } from './run-cli.ts';

let folder: string;
let config: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleetcast-cli-'));
  config = join(folder, 'fleetcast.yaml');
  writeFileSync(config, 'log: {embedded: {path: data}}\ntopics: {partitions: 2, prefix: site1.}\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the command line', () => {
  it('shows what there is, and exits with 2 when it is called wrongly', async () => {
    const help = await cli(['--help']);
    expect(help.code).toBe(0);
    for (const name of [
      'demo',
      'init',
      'run',
      'publish',
      'tail',
      'train',
      'evaluate',
      'models',
      'describe',
      'doctor',
    ]) {
      expect(help.out.join('\n')).toContain(`  ${name} `);
    }
    expect((await cli([])).code).toBe(2);
    const wrong = await cli(['tial', 'x']);
    expect([wrong.code, wrong.notes[0]]).toEqual([2, expect.stringMatching(/^error USAGE: unknown command 'tial'/)]);
    expect(wrong.notes.join(' ')).toContain('Did you mean tail?');
    expect(await cli(['publish', '--csv', 'x'])).toMatchObject({ code: 2 });
    expect(await cli(['tail', 'readings', '--from', '-1'])).toMatchObject({ code: 2 });
    expect((await cli(['models', 'nothing'])).code).toBe(2);
  });

  it('shows defaults as they are typed', async () => {
    const help = async (command: string) => (await cli([command, '--help'])).out.join(' ').replaceAll(/\s+/g, ' ');
    expect(await help('discover')).toContain('how long to listen (default: 60s)');
    expect(await help('discover')).toContain('comma between them (default: #)');
    expect(await help('import-keras')).toContain('MEAN,DEVIATION (default: rolling)');
    for (const command of ['discover', 'import-keras', 'publish', 'backtest', 'train', 'tail', 'evaluate']) {
      expect(await help(command)).not.toMatch(/default: [[{]/);
    }
  });

  it('writes an example, and not over a file', async () => {
    const file = join(folder, 'example.yaml');
    expect(await cli(['init', file])).toMatchObject({ code: 0 });
    expect(readFileSync(file, 'utf8')).toBe(exampleConfiguration());
    writeFileSync(file, 'mine');
    const again = await cli(['init', file]);
    expect([again.code, again.notes[0]]).toEqual([2, expect.stringContaining('exists; --force writes over it')]);
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect((await cli(['init', file, '--force'])).code).toBe(0);
    expect((await cli(['init', '-'])).out.join('\n')).toBe(exampleConfiguration().trimEnd());
  });

  it('check ends with 1 where samples are refused, and names the first', async () => {
    const check = (payload: string, topic = 'fleet/pump') =>
      cli(['check', '--config', config, '--topic', topic, '--payload', payload]);
    expect(await check('{"temperature": 21.5, "status": "ok", "on": true}')).toMatchObject({ code: 0, notes: [] });
    const refused = await check('{"temperature":');
    expect(refused).toMatchObject({
      code: 1,
      notes: [expect.stringContaining('1 of 1 samples is refused; the first: fleet/pump: not-json')],
    });
    expect(refused.out.at(-1)).toBe('1 message: 1 to the dead letters (not-json 1)');
    expect((await check('{"status": "ok"}')).code).toBe(1);
    expect((await check('{}', 'elsewhere/x')).notes[0]).toContain('no sample becomes a reading');
  });

  it('names every mistake of a configuration', async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'http:\n  port: x\npipelin: {}\n');
    const result = await cli(['describe', '--config', file]);
    expect(result.code).toBe(2);
    expect(result.notes).toEqual([
      'error CONFIG_INVALID: wrong.yaml:2: http.port: found "x", expected a number (and 1 more). Correct the named line; `fleetcast init` writes a commented example.',
      '  wrong.yaml:3: pipelin: unknown field; did you mean pipeline?',
    ]);
    expect((await cli(['run', '--config', join(folder, 'nowhere.yaml')])).notes[0]).toMatch(/^error CONFIG_UNREADABLE/);
  });

  it('describes the topology', async () => {
    const text = await cli(['describe', '--config', config]);
    expect(text.out.join('\n')).toContain('source readings (topic site1.readings)');
    expect((await cli(['describe', '--config', config, '--mermaid'])).out[0]).toBe('flowchart LR');
    expect((await cli(['describe', '--config', config, '--dot'])).out[0]).toMatch(/^digraph/);
  });

  it('says which topics a run would create, and makes nothing', async () => {
    const file = join(folder, 'dry.yaml');
    const topics = 'prefix: dry., names: {readings: plant.telemetry}';
    writeFileSync(file, `log: {embedded: {path: dry}}\ntopics: {${topics}, partitions: 3}\n`);
    const planned = await cli(['run', '--dry-run', '--config', file]);
    expect(planned.code).toBe(0);
    expect(planned.out).toContain('topic dry.plant.telemetry: create with 3 partitions, delete');
    expect(existsSync(join(folder, 'dry'))).toBe(false);

    const log = await openEmbeddedLog({ path: join(folder, 'dry') });
    await log.ensureTopics([{ name: 'dry.plant.telemetry', partitions: 2, cleanup: 'delete' }]);
    await log.close();
    const refused = await cli(['run', '--dry-run', '--config', file]);
    expect([refused.code, refused.notes[0]]).toEqual([
      1,
      expect.stringMatching(/LOG_TOPIC_MISMATCH.*partitions is 2, wanted 3 \(set the partitions to 2/),
    ]);
  });

  it('says of retention and interval what a run would', async () => {
    const file = join(folder, 'later.yaml');
    const configure = (topics: string, pipeline = '{}') =>
      writeFileSync(file, `log: {embedded: {path: later}}\ntopics: {${topics}}\npipeline: ${pipeline}\n`);
    const dry = (...more: string[]) => cli(['run', '--dry-run', ...more, '--config', file]);
    const kept = async () => {
      const log = await openEmbeddedLog({ path: join(folder, 'later') });
      const days = (await log.topic('readings'))!.retentionMs! / 86_400_000;
      await log.close();
      return days;
    };
    const importing = () => cli(['history', 'import', join(folder, 'later.csv'), '--config', file]);
    writeFileSync(join(folder, 'later.csv'), 'device,quantity,time,value\np,q,2026-01-01T00:00:00Z,1\n');
    configure('readingsRetention: 7d');
    expect((await importing()).code).toBe(0);
    configure('readingsRetention: 30d');
    expect((await dry()).out).toContain('topic readings: keep 30 d, no longer 7 d');
    configure('readingsRetention: 1d');
    expect((await dry()).notes[0]).toMatch(/LOG_TOPIC_MISMATCH.*readings keeps 7 d.*--shorten-retention/);
    expect((await dry('--shorten-retention')).out).toContain('topic readings: keep 1 d, no longer 7 d');
    // A command that is no run leaves retention as it is, and so does a look.
    expect((await importing()).code).toBe(0);
    expect(await kept()).toBe(7);

    configure('readingsRetention: 7d', '{interval: 1m}');
    for (const args of [['run', '--dry-run'], ['run'], ['train'], ['history', 'import', join(folder, 'later.csv')]]) {
      const { code, notes } = await cli([...args, '--config', file]);
      expect([args, code, notes.join(' ')]).toEqual([args, 1, expect.stringContaining('HISTORY_INTERVAL')]);
    }
  });

  it('says what this machine has', async () => {
    const { code, out } = await cli(['doctor', '--config', config, '--json']);
    const { findings } = JSON.parse(out[0]!) as { findings: { what: string; text: string }[] };
    expect(code).toBe(0);
    expect(findings.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['Node.js', 'TensorFlow', 'WebAssembly SIMD', 'data folder']),
    );
    expect(findings.find(({ what }) => what === 'TensorFlow')?.text).toMatch(
      /WebAssembly, because .*npm install|native/,
    );
  });

  it('refuses a damaged, a newer and a foreign data folder, and leaves it as it is', async () => {
    const data = join(folder, 'foreign');
    mkdirSync(data);
    writeFileSync(join(data, 'letter.txt'), 'mine');
    const file = join(folder, 'foreign.yaml');
    writeFileSync(file, 'log: {embedded: {path: foreign}}\nhttp: {port: 0}\nbroker: {embedded: {port: 0}}\n');
    for (const command of [['run'], ['tail', 'readings'], ['train']]) {
      const { code, notes } = await cli([...command, '--config', file]);
      expect([code, notes[0]]).toEqual([1, expect.stringMatching(/^error DATA_FOLDER_DAMAGED: .*foreign/)]);
    }
    expect(readFileSync(join(data, 'letter.txt'), 'utf8')).toBe('mine');
    expect(existsSync(join(data, 'data.mdb'))).toBe(false);

    const marker = join(data, 'fleetcast-log.json');
    for (const [text, code] of [
      ['{"format":"fleetcast-log","version":99,"state":"ready"}\n', 'DATA_FOLDER_NEWER'],
      ['{"format":"fleetcast-log","version":1,"state":"ready"}\n', 'DATA_FOLDER_DAMAGED'],
    ] as const) {
      writeFileSync(marker, text);
      const refused = await cli(['run', '--config', file]);
      expect([refused.code, refused.notes[0]]).toEqual([1, expect.stringContaining(`error ${code}: `)]);
      expect(readFileSync(marker, 'utf8')).toBe(text);
      expect(readdirSync(data).sort()).toEqual(['fleetcast-log.json', 'letter.txt']);
    }
  });
});
