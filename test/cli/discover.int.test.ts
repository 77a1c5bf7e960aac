import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startBroker } from '../../src/bridges/broker/broker.ts';
import { compileMapping } from '../../src/bridges/mapping/mapping.ts';
import { connectPublisher } from '../../src/bridges/mqtt/publisher.ts';
import { loadConfiguration } from '../../src/service/configuration/load.ts';
import { mappingConfig } from '../../src/service/configuration/mapping-section.ts';
import { cli } from './run-cli.ts';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

describe('fleetcast discover', () => {
  it('writes a configuration that loads and maps what was heard', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-discover-'));
    cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'fleetcast.yaml');
    const broker = await startBroker({ port: 0 });
    cleanUps.push(() => broker.close());
    const publisher = await connectPublisher({ url: broker.url });
    cleanUps.push(() => publisher.end(500));
    let sent = 0;
    const timer = setInterval(() => {
      const t = 20 + (sent++ % 5);
      void publisher.publish('zigbee2mqtt/kitchen', JSON.stringify({ temperature: t, linkquality: 80 }));
      void publisher.publish('zigbee2mqtt/bridge/state', 'online');
      void publisher.publish('plant/pump: 1/data', JSON.stringify({ ts: Date.now(), flow: t, mode: 'auto' }));
      void publisher.publish('plant/pump: 2/data', JSON.stringify({ ts: Date.now(), flow: t, mode: 'auto' }));
    }, 50);
    cleanUps.push(() => clearInterval(timer));

    const result = await cli(['discover', '--broker', broker.url, '--for', '1s', '--write', file, '--json']);
    expect([result.code, result.notes.at(-2)]).toEqual([0, expect.stringContaining(`wrote ${file}`)]);
    const found = JSON.parse(result.out[0]!) as { devices: { device: string; intervalMs: number }[] };
    expect(found.devices.map(({ device }) => device).sort()).toEqual(['kitchen', 'pump: 1', 'pump: 2']);

    expect(readFileSync(file, 'utf8')).toMatch(/# zigbee2mqtt: \d+ messages, confidence 0\.9/);
    const mapping = compileMapping(mappingConfig(loadConfiguration(file).mapping));
    const payload = Buffer.from('{"ts": 1767225600000, "flow": 5}');
    expect(mapping.map('plant/pump: 3/data', payload, Date.UTC(2026, 0, 2)).readings).toEqual([
      { device: 'pump: 3', time: Date.UTC(2026, 0, 1), values: { flow: 5 } },
    ]);
    expect(await cli(['check', '--config', file])).toMatchObject({ code: 0, out: [expect.stringMatching(/^valid/)] });

    const again = await cli(['discover', '--broker', broker.url, '--for', '1s', '--write', file]);
    expect([again.code, again.notes[0]]).toEqual([2, expect.stringContaining('--force')]);
    const shown = await cli(['discover', '--broker', broker.url, '--for', '300ms', '--filter', 'plant/#']);
    expect(shown.out.join('\n')).toMatch(/plant\/\+device\/data {2}rule[\s\S]*pump: 1[\s\S]*flow/);
  });

  it('says what is wrong with the broker', async () => {
    const gone = await cli(['discover', '--broker', 'mqtt://127.0.0.1:1', '--for', '1s']);
    expect([gone.code, gone.notes[0]]).toEqual([1, expect.stringMatching(/^error BRIDGE_CONNECT: cannot listen to/)]);
  });
});

describe('fleetcast publish', () => {
  it('fails where no row can be published, and shows the first', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-publish-'));
    cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
    const broker = await startBroker({ port: 0 });
    cleanUps.push(() => broker.close());
    const file = join(folder, 'x.csv');
    const publish = () => cli(['publish', '--csv', file, '--broker', broker.url]);
    writeFileSync(file, 'time,t\nsoon,1\nlater,2\n');
    const none = await publish();
    expect(none.out[0]).toContain(
      'published 0 · acknowledged 0 · skipped 2 bad-time (first: row 1: bad-time: time is "soon"',
    );
    expect([none.code, none.notes[0]]).toEqual([
      1,
      expect.stringContaining('nothing could be published; row 1: bad-time'),
    ]);
    writeFileSync(file, 'time,t\nsoon,1\n2026-01-01,2\n');
    expect((await publish()).code).toBe(0);
  });
});
