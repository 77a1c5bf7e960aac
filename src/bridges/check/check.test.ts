import { describe, expect, it } from 'vitest';
import type { MappingConfig } from '../mapping/config.ts';
import { explainMessages } from './explain.ts';
import { lintMapping } from './lint.ts';
import { parseMessages } from './messages.ts';

const ARRIVAL = Date.UTC(2026, 0, 1);
const lint = (...rules: MappingConfig['rules']) =>
  lintMapping({ rules }).map(({ level, rule, message }) => `${level} ${rule}: ${message}`);

describe('lint', () => {
  it('has nothing to say of a good mapping', () => {
    const time = { path: 'time' };
    expect(lint({ topic: 'a/+site/+device', device: '{site}/{device}', time })).toEqual([]);
    expect(lint({ topic: 'a/+gateway', device: '{gateway}/{mac}', time })).toEqual([]);
    expect(lint({ topic: 'fleet/+device', time: { path: 'time' } }, { preset: 'zigbee2mqtt' })).toEqual([]);
  });
  it.each<[string, MappingConfig['rules'], RegExp]>([
    [
      'a path',
      [{ topic: 'a/+device', values: { t: 'a..b' }, time: { path: 't' } }],
      /^error 0: mapping of a\/\+device: path/,
    ],
    ['a preset', [{ preset: 'nothing' }], /^error 0: no preset/],
    ['an unknown format', [{ topic: 'a/+device', format: 'xml' as 'json' }], /^error 0: .*format "xml" is not known/],
    [
      'a hidden rule',
      [
        { topic: '#', ignore: true },
        { topic: 'a/+device', time: { path: 't' } },
      ],
      /^warning 1: it never gets a message: # comes/,
    ],
    [
      'a rule twice',
      [
        { topic: 'a/#d/x', ignore: true },
        { topic: 'a/#e/x', ignore: true },
      ],
      /^warning 1: it never/,
    ],
    ['no device', [{ topic: 'a/+name', time: { path: 't' } }], /^warning 0: the device is read from the field/],
    ['no values', [{ topic: 'a/+device', rest: 'ignore', time: { path: 't' } }], /^warning 0: it takes no value/],
    [
      'useless fields',
      [{ topic: 'a/+device', values: { t: 't' }, exclude: ['x'], time: { path: 't' } }],
      /^warning 0: exclude mean/,
    ],
    ['no time', [{ topic: 'a/+device' }], /^note 0: no time/],
    ['one device', [{ topic: 'a', device: 'x', time: { path: 't' } }], /^note 0: all its messages are of one device/],
    [
      'names that run together',
      [{ topic: 'a/+site/+device', device: '{site}-{device}', time: { path: 't' } }],
      /^warning 0: \{site\}-\{device\} runs names together: those of "a-b" and "c", and of "a" and "b-c"/,
    ],
    [
      'a device that only the payload names',
      [{ topic: 'a/+gateway', device: '{mac}', time: { path: 't' } }],
      /^note 0: the device is named by the payload alone/,
    ],
    ['Tasmota without a zone', [{ preset: 'tasmota' }], /^note 0: Tasmota sends local times/],
  ])('names %s', (_, rules, expected) => expect(lint(...rules).join('\n')).toMatch(expected));
});

describe('explain', () => {
  const config: MappingConfig = {
    rules: [
      { topic: 'fleet/+site/+device', time: { path: 'time', optional: true } },
      { topic: 'fleet/log', ignore: true },
      { topic: 'strict/+device', rest: 'strict' },
    ],
  };
  const explain = (topic: string, payload: string) =>
    explainMessages(config, [{ topic, payload: Buffer.from(payload), arrival: ARRIVAL }])[0]!;
  it('says what a message becomes', () => {
    const found = explain('fleet/x/pump', '{"time": 1767225600, "t": 21.5}');
    expect(found).toMatchObject({ fate: 'readings', captures: { site: 'x', device: 'pump' } });
    expect(found.why).toEqual([
      'rule 1 of 3, fleet/+site/+device: site = "x", device = "pump"',
      'pump at the arrival: t = 21.5',
    ]);
  });
  it('names what it leaves out beside numbers', () => {
    const found = explain('fleet/x/pump', '{"t": 21.5, "status": "ok", "on": true, "p": "n/a"}');
    expect(found).toMatchObject({ fate: 'readings', kept: false });
    expect(found.why.slice(1)).toEqual([
      'pump at the arrival: t = 21.5',
      'left out, being no number: status = "ok", on = true, p = "n/a" (`booleans: true` would take them)',
    ]);
  });
  it.each([
    ['strict/pump', '{"t": "hot"}', 'dead-letter', /not-a-number \(pump\): .*goes to the dead letters/],
    ['fleet/x/pump', '{"t": "21"}', 'dropped', /no-values.*\n.*t = "21" \(`numericText: true` would take them\)$/],
    ['fleet/x/pump', '21.5', 'dead-letter', /not-a-number \(pump\): 21.5 has no name/],
    ['fleet/log', 'x', 'dropped', /ignored: .*counted and dropped/],
    ['fleet/x', '{}', 'dead-letter', /wants 1 more levels/],
    ['fleet/x/y/z', '{}', 'dead-letter', /ends before "z"/],
    ['other/x', '{}', 'dead-letter', /none begins like this/],
    ['$SYS/x', '{}', 'dead-letter', /begin with \$/],
  ])('says why not: %s %s', (topic, payload, fate, why) => {
    const found = explain(topic, payload);
    expect(found.fate).toBe(fate);
    expect(found.why.join('\n')).toMatch(why);
  });
});

describe('sample messages', () => {
  const read = (text: string) =>
    parseMessages(text, ARRIVAL).map(({ topic, payload, arrival }) => [
      topic,
      Buffer.from(payload).toString(),
      arrival,
    ]);
  it('are read from JSON, JSON lines and mosquitto_sub -v', () => {
    const wanted = [['a/b', '{"t":1}', ARRIVAL]];
    expect(read('[{"topic": "a/b", "payload": {"t": 1}}]')).toEqual(wanted);
    expect(read('{"note": "x", "items": [{"topic": "a/b", "payload": "{\\"t\\":1}"}]}')).toEqual(wanted);
    expect(read('{"topic": "a/b", "base64": "eyJ0IjoxfQ=="}')).toEqual(wanted);
    expect(
      read('{"topic": "a/b", "payload": {"t": 1}}\n\n{"topic": "c", "payload": 5, "arrival": "2026-01-02T00:00:00Z"}'),
    ).toEqual([...wanted, ['c', '5', ARRIVAL + 86_400_000]]);
    expect(read('a/b {"t":1}\nc d 5')).toEqual([...wanted, ['c', 'd 5', ARRIVAL]]);
    expect(read('z/Living Room, 2nd {floor} {"t":1}')).toEqual([['z/Living Room, 2nd {floor}', '{"t":1}', ARRIVAL]]);
    expect(read('{"tst":"2026-01-01T00:00:01.500000Z+0000","topic":"a","qos":0,"payload":"online"}')).toEqual([
      ['a', 'online', Date.UTC(2026, 0, 1, 0, 0, 1, 500)],
    ]);
    expect(read(' ')).toEqual([]);
  });
  it.each(['topic', '[{"payload": 1}]', '[{"topic": "a"}]', '{"items": 5}'])('name what is wrong with %s', (text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
