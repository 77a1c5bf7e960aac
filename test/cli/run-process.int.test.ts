import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectPublisher } from '../../src/bridges/mqtt/publisher.ts';
import { cli } from './run-cli.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const HOUR = 3_600_000;
const START = Date.UTC(2021, 0, 4);

describe('fleetcast run as its own process', () => {
  let folder: string;
  let config: string[];
  const children: ChildProcess[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fleetcast-run-'));
    const file = join(folder, 'fleetcast.yaml');
    writeFileSync(
      file,
      [
        'broker: {embedded: {port: 0}}',
        'log: {embedded: {path: data}}',
        'http: {port: 0}',
        'topics: {partitions: 2}',
        'pipeline: {lookback: 24, horizon: 6, season: 12, grace: 0s}',
        'learner: {enabled: false}',
      ].join('\n'),
    );
    config = ['--config', file];
  });
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  async function run() {
    const child = spawn(process.execPath, [MAIN, 'run', ...config], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    const exit = new Promise<string>((resolve) => child.once('exit', (code, signal) => resolve(`${code ?? signal}`)));
    let notes = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => {
        notes += text.toString('utf8');
      });
    }
    await expect.poll(() => notes, { timeout: 60_000 }).toMatch(/readings from mqtt:.*[\s\S]*bridge subscribed/);
    const url = /readings from (mqtt:\S+)/.exec(notes)![1]!;
    const end = (signal: NodeJS.Signals) => {
      child.kill(signal);
      return exit;
    };
    const page = /page at (http:\S+)/.exec(notes)![1]!;
    return { url, page, end, notes: () => notes };
  }

  async function publish(url: string, from: number, to: number): Promise<void> {
    const publisher = await connectPublisher({ url, protocol: '3.1.1' });
    for (let hour = from; hour < to; hour++) {
      for (const device of ['a', 'b', 'c']) {
        const temperature = 20 + 5 * Math.sin((hour * Math.PI) / 6) + device.charCodeAt(0);
        const payload = JSON.stringify({ time: START + hour * HOUR, temperature });
        await publisher.publish(`fleet/${device}`, payload, { qos: 1 });
      }
    }
    await publisher.flush();
    await publisher.end();
  }

  const lines = async (topic: string) => (await cli(['tail', topic, ...config, '--from-start'])).out;
  const origins = async () =>
    (await lines('forecasts'))
      .map((line) => JSON.parse(line) as { key: string; value: { origin: number } })
      .map(({ key, value }) => `${key} ${value.origin}`);

  it('goes on after kill -9 with the forecasts of an undisturbed run, and ends with 0 on both signals', async () => {
    const first = await run();
    await publish(first.url, 0, 150);
    await expect.poll(async () => (await origins()).length, { timeout: 60_000 }).toBeGreaterThan(30);
    expect(await first.end('SIGKILL')).toBe('SIGKILL');

    const second = await run();
    // Until the session of the killed process has run out, nobody works on its partitions: that is told.
    const told = /forecasting.readings waits for partitions? [\d, ]+: held by forecasting-\d+ until .* at the latest/;
    const response = await fetch(`${second.page}/ready`);
    expect([response.status, await response.json()]).toEqual([
      503,
      { status: 'starting', problems: [expect.stringMatching(told)] },
    ]);
    expect(await (await fetch(`${second.page}/metrics`)).text()).toMatch(/^fleetcast_partitions_waited_for [12]$/m);
    await expect.poll(second.notes, { timeout: 10_000 }).toMatch(told);
    await publish(second.url, 0, 220);
    await expect.poll(async () => (await origins()).length, { timeout: 60_000 }).toBeGreaterThan(3 * 200);
    expect(await (await fetch(`${second.page}/ready`)).json()).toEqual({ status: 'ok', problems: [] });
    expect(await second.end('SIGTERM')).toBe('0');

    const third = await run();
    const all = await origins();
    expect(new Set(all).size).toBe(all.length);
    const verified = await cli(['replay', '--verify', ...config]);
    expect([verified.code, verified.notes, verified.out.at(-1)]).toEqual([0, [], 'identical, byte for byte']);
    expect(await third.end('SIGINT')).toBe('0');
  }, 300_000);

  it('refuses a password in the configuration before anything starts, and does not repeat it', async () => {
    const { code, notes } = await refused('broker: {url: "mqtt://user:secret@127.0.0.1:1888"}');
    expect(code).toBe(2);
    expect(notes).toContain('error CONFIG_INVALID');
    expect(notes).not.toContain('secret');
  }, 300_000);

  it('ends with an error where the broker cannot start, and leaves nothing running', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { code, notes } = await refused(`broker: {embedded: {port: ${port}}}`);
    taken.close();
    expect(code).toBe(1);
    expect(notes).toContain(`error BROKER_FAILED: cannot listen on 127.0.0.1:${port}`);
  }, 300_000);

  async function refused(broker: string): Promise<{ code: number; notes: string }> {
    const file = join(folder, 'refused.yaml');
    writeFileSync(file, [broker, 'log: {embedded: {path: refused}}', 'http: {port: 0}'].join('\n'));
    const child = spawn(process.execPath, [MAIN, 'run', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    children.push(child);
    let notes = '';
    child.stderr.on('data', (text: Buffer) => {
      notes += text.toString('utf8');
    });
    const code = await new Promise<number>((resolve) => child.once('close', resolve));
    return { code, notes };
  }
});
