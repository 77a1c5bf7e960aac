import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseConfiguration } from './configuration/load.ts';
import { logFolder, logPlace, openExistingLog, openLog } from './open-log.ts';

const loaded = (text: string, folder: string) => ({ ...parseConfiguration(text, 'x'), file: undefined, folder });

it('opens the embedded log in the configured folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-open-'));
  try {
    const configuration = loaded('log: {embedded: {path: here}}', folder);
    expect(logFolder(configuration)).toBe(join(folder, 'here'));
    const log = await openLog(configuration);
    expect([log.kind, await log.topics()]).toEqual(['embedded', []]);
    await log.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('makes no folder for a command that only looks', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-open-'));
  try {
    const configuration = loaded('log: {embedded: {path: mistyped}}', folder);
    await expect(openExistingLog(configuration)).rejects.toMatchObject({ code: 'DATA_FOLDER_MISSING' });
    expect(existsSync(join(folder, 'mistyped'))).toBe(false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('says where Kafka was looked for, and asks for secrets before it connects', async () => {
  const kafka =
    'log: {kafka: {brokers: ["127.0.0.1:1"], sasl: {mechanism: plain, username: u, password: {env: NO_X}}}}';
  const configuration = loaded(kafka, '.');
  expect([logFolder(configuration), logPlace(configuration)]).toEqual([undefined, '127.0.0.1:1']);
  await expect(openLog(configuration)).rejects.toThrow('log.kafka.sasl.password: the environment variable NO_X');
  const registry = 'registry: {url: "http://127.0.0.1:1", user: u, password: {env: NO_X}}';
  await expect(openLog(loaded(`log: {kafka: {brokers: ["127.0.0.1:1"], ${registry}}}`, '.'))).rejects.toThrow(
    'log.kafka.registry.password: the environment variable NO_X',
  );
});

it.each([
  ['registry: {url: "ftp://x"}', /log\.kafka\.registry\.url/],
  ['registry: {url: "http://x", password: hush}', /log\.kafka\.registry\.password: expected a reference/],
  ['registry: {url: "http://x", subjects: all}', /log\.kafka\.registry\.subjects/],
  ['json: [readings]', /log\.kafka\.json/],
  ['compression: brotli', /log\.kafka\.compression/],
])('refuses %s and names the field', (setting, told) => {
  const text = `log: {kafka: {brokers: ["127.0.0.1:1"], ${setting}}}`;
  expect(() => loaded(text, '.')).toThrow(told);
});
