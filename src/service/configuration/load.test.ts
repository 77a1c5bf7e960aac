import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FleetcastError } from '../../errors.ts';
import { exampleConfiguration } from './example.ts';
import { type ConfigurationIssue, issueText, loadConfiguration, parseConfiguration } from './load.ts';
import { resolveSecret } from './secret.ts';
import { closest } from './suggestion.ts';
import { durationText, parseDuration, parseSize, sizeText } from './units.ts';

function issuesOf(text: string): string[] {
  try {
    parseConfiguration(text, 'fleet.yaml');
  } catch (error) {
    if (!(error instanceof FleetcastError)) throw error;
    const issues = error.details['issues'] as ConfigurationIssue[] | undefined;
    return issues === undefined ? [error.message] : issues.map(issueText);
  }
  return [];
}

describe('configuration', () => {
  it('runs with an empty file', () => {
    const empty = parseConfiguration('', 'fleet.yaml');
    expect(empty.pipeline).toMatchObject({ interval: 3_600_000, lookback: 96, horizon: 24, season: 24 });
    expect(empty.http).toMatchObject({ host: '127.0.0.1', port: 8080 });
    expect(parseConfiguration('# nothing\n', 'fleet.yaml')).toEqual(empty);
    expect(parseConfiguration('pipeline:\n  interval: 15m\n', 'x').pipeline.interval).toBe(900_000);
  });

  it('names file, line, field, what was found and what is allowed', () => {
    expect(issuesOf('pipeline:\n  interval: 1 hour\n')).toEqual([
      'fleet.yaml:2: pipeline.interval: found "1 hour", expected a duration such as 250ms, 30s, 15m, 1h or 7d, from 1s to 4w',
    ]);
    expect(issuesOf('http:\n  port: "8080"\n  host: [a]\n')).toEqual([
      'fleet.yaml:2: http.port: found "8080", expected a number',
      'fleet.yaml:3: http.host: found a list of 1, expected text',
    ]);
    expect(issuesOf('http: {port: 99999}')).toEqual([
      'fleet.yaml:1: http.port: found 99999, expected a number at most 65535',
    ]);
    expect(issuesOf('logging:\n\n  level: loud')).toEqual([
      'fleet.yaml:3: logging.level: found "loud", expected one of trace, debug, info, warn, error, silent',
    ]);
    expect(issuesOf('- a\n- b')).toEqual(['fleet.yaml: found a list of 2, expected an object with fields']);
    expect(issuesOf('pipeline:\n  lookback: 12\n')).toEqual([
      'fleet.yaml:2: pipeline.lookback: found 12, expected at least one season (24)',
    ]);
  });

  it('suggests the field that an unknown one may have meant', () => {
    expect(issuesOf('pipelin:\n  x: 1')).toEqual(['fleet.yaml:1: pipelin: unknown field; did you mean pipeline?']);
    expect(issuesOf('mapping:\n  onReject: {not-jsn: drop}')).toEqual([
      'fleet.yaml:2: mapping.onReject.not-jsn: unknown field; did you mean not-json?',
    ]);
    expect(issuesOf('topics:\n  prefix: a\n  partition: 3')).toEqual([
      'fleet.yaml:3: topics.partition: unknown field; did you mean partitions?',
    ]);
    expect(issuesOf('topics:\n  zzz: 3')[0]).toContain('unknown field; allowed are prefix, names, partitions');
    expect(closest('lokback', ['lookback', 'level'])).toBe('lookback');
    expect(closest('elvel', ['lookback', 'level'])).toBe('level');
  });

  it('checks the rules of the mapping and presets', () => {
    expect(issuesOf('mapping:\n  rules:\n    - topic: a/+device\n      rset: strict\n')).toEqual([
      'fleet.yaml:4: mapping.rules[0].rset: unknown field; did you mean rest?',
    ]);
    expect(issuesOf('mapping:\n  rules:\n    - {preset: tasmota, zone: 3}\n')).toEqual([
      'fleet.yaml:3: mapping.rules[0].zone: found 3, expected text',
    ]);
    expect(issuesOf('mapping:\n  rules:\n    - {topic: a, time: {path: t, format: epoch-s}}\n')).toEqual([]);
    expect(issuesOf('mapping:\n  rules: [{preset: zigbee2mqtt}]\n')).toEqual([]);
  });

  it('refuses what could not run, and names the line', () => {
    const rules =
      'mapping:\n  rules:\n    - topic: a/+device\n    - topic: b/+device\n      transform: "{"\n    - preset: tasmato\n';
    expect(issuesOf(rules)).toEqual([
      expect.stringMatching(/^fleet\.yaml:4: mapping\.rules\[1\]: mapping of b\/\+device: JSONata/),
      expect.stringMatching(/^fleet\.yaml:6: mapping\.rules\[2\]: no preset is called "tasmato"/),
    ]);
    expect(issuesOf('http:\n  host: 0.0.0.0\n')).toEqual([
      'fleet.yaml:2: http.host: the page may listen on 0.0.0.0 only with a token (http.token)',
    ]);
    expect(issuesOf('http: {host: 0.0.0.0, token: {env: T}}\n')).toEqual([]);
    expect(issuesOf('http: {host: 0.0.0.0, enabled: false}\n')).toEqual([]);
    expect(issuesOf('broker:\n  embedded:\n    host: "::"\n')[0]).toMatch(/^fleet\.yaml:3: .*needs users/);
    expect(issuesOf('broker:\n  embedded: {host: "::", allowAnonymous: true}\n')).toEqual([]);
    expect(issuesOf('broker:\n  sharedGroup: g\n')[0]).toMatch(/needs broker\.url/);
    expect(issuesOf('broker: {url: "mqtts://b", keyFile: k.pem}\n')[0]).toMatch(/certFile/);
    expect(issuesOf('mapping: {rules: [{topic: "#", device: x, rest: numbers}]}\nout:\n  enabled: true\n')[0]).toMatch(
      /^fleet\.yaml:2: out: .*come back/,
    );
  });

  it('tells where the YAML is broken', () => {
    expect(issuesOf('a: 1\nb: [1, 2\n')[0]).toMatch(/^fleet\.yaml:\d+: /);
    expect(issuesOf('http:\n  port: 1\n  port: 2\n')[0]).toMatch(/^fleet\.yaml:3: /);
    expect(() => loadConfiguration('/no/such/file.yaml')).toThrow(
      expect.objectContaining({ code: 'CONFIG_UNREADABLE' }),
    );
  });

  it('never shows a secret, and reads it from where it is kept', () => {
    const issues = issuesOf('broker:\n  password: hunter2\n');
    expect(issues[0]).toMatch(/^fleet\.yaml:2: broker\.password: expected a reference/);
    expect(issues.join()).not.toContain('hunter2');
    for (const url of ['mqtt://me:hunter2@host', 'mqqt://me:hunter2@host', 'mqtt://me:hunter2@ho st']) {
      const [issue = ''] = issuesOf(`broker:\n  url: "${url}"\n`);
      expect(issue).toMatch(/^fleet\.yaml:2: broker\.url: expected an address/);
      expect(issue).not.toContain('hunter2');
    }
    for (const [log, field] of [
      [
        'kafka: {brokers: ["http://bob:hunter2@x:9092"]}',
        /log\.kafka\.brokers\[0\]: found "…@x:9092", expected host:port/,
      ],
      ['kafka: {brokers: ["bob:hunter2/hunter2@x@y:9092"]}', /log\.kafka\.brokers\[0\]/],
      [
        'kafka: {brokers: ["a:1"], registry: {url: "http://bob:hunter2@x"}}',
        /registry\.url: .*without user and password/,
      ],
      ['kafka: {brokers: ["a:1"], registry: {url: "http://hunter2@x"}}', /registry\.url: .*without user and password/],
      ['kafka: {brokers: ["a:1"], registry: {url: ["http://x", "http://bob:hunter2@x"]}}', /registry\.url/],
      ['kafka: {brokers: ["a:1"], registry: {url: "ftp://bob:hunter2@x"}}', /registry\.url/],
    ] as const) {
      const issues = issuesOf(`log:\n  ${log}\n`);
      expect(issues.join()).toMatch(field);
      expect(issues.join()).not.toContain('hunter2');
    }
    expect(issuesOf('log:\n  kafka: {brokers: ["a:1"], registry: {url: "http://x:8081/a@b"}}\n')).toEqual([]);
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-config-'));
    try {
      writeFileSync(join(folder, 'secret'), 'hunter2\n');
      expect(resolveSecret('broker.password', { file: 'secret' }, folder)).toBe('hunter2');
      expect(() => resolveSecret('http.token', { env: 'FLEETCAST_NOT_SET' }, folder)).toThrow(
        'http.token: the environment variable FLEETCAST_NOT_SET is not set',
      );
      for (const [i, nothing] of ['', '\n', '\r\n', '  \n'].entries()) {
        writeFileSync(join(folder, `empty${i}`), nothing);
        expect(() => resolveSecret('http.token', { file: `empty${i}` }, folder)).toThrow(
          `http.token: the file empty${i} is empty`,
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('allows one broker and one log', () => {
    expect(issuesOf('broker:\n  url: mqtt://a\n  embedded: {}\n')[0]).toContain('either `url` or `embedded`');
    expect(issuesOf('log:\n  embedded: {}\n  kafka: {brokers: ["a:1"]}\n')[0]).toContain(
      'either `embedded` or `kafka`',
    );
  });
});

describe('the example', () => {
  it('has every field, and is what an empty file means', () => {
    const example = exampleConfiguration();
    expect(parseConfiguration(example, 'example')).toEqual(parseConfiguration('', 'empty'));
    for (const line of example.split('\n')) {
      if (line.startsWith('  ') && !line.includes('#')) expect(line).toMatch(/^ {2}\w+: \S/);
    }
  });

  it('shows optional fields that are valid as they stand', () => {
    const lines = exampleConfiguration().split('\n');
    let section = '';
    let shown = 0;
    for (const line of lines) {
      section = /^(\w+):$/.exec(line)?.[1] ?? section;
      const field = /^ {2}# (\w+: \S.*)$/.exec(line)?.[1] ?? '';
      if (!/^[a-z]\w*: [[{a-z]/.test(field) || !/^[a-z]\w+:/.test(field)) continue;
      shown += 1;
      const partner = /^sharedGroup/.test(field)
        ? '  url: mqtt://b\n'
        : /^keyFile/.test(field)
          ? '  certFile: c.pem\n'
          : '';
      expect(issuesOf(`${section}:\n  ${field}\n${partner}`), field).toEqual([]);
    }
    expect(shown).toBeGreaterThan(8);
  });
});

describe('units', () => {
  it('reads what it writes', () => {
    for (const ms of [1, 250, 1000, 90_000, 3_600_000, 604_800_000]) expect(parseDuration(durationText(ms))).toBe(ms);
    for (const bytes of [1, 1024, 3 * 1024 ** 2, 64 * 1024 ** 3]) expect(parseSize(sizeText(bytes))).toBe(bytes);
    expect(parseDuration('1.5h')).toBe(5_400_000);
    for (const text of ['', '1', 'h', '-1h', '1 hour', '1e9d']) expect(parseDuration(text), text).toBeUndefined();
  });
});
