import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesFilter, parseTopicFilter } from './topic-filter.ts';

describe('matchesFilter', () => {
  it.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a/b/c', false],
    ['a/+', 'a/b', true],
    ['a/+', 'a/', true],
    ['a/+', 'a', false],
    ['a/+/c', 'a/b/c', true],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['#', 'a/b', true],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['+', '/a', false],
    ['/+', '/a', true],
    ['+/+', '/a', true],
  ])('%s on %s: %s', (filter, topic, expected) => {
    expect(matchesFilter(filter, topic)).toBe(expected);
  });
});

describe('parseTopicFilter', () => {
  it('names what the wildcards stand for', () => {
    const filter = parseTopicFilter('v3/+app/devices/+device/#rest');
    expect(filter.mqtt).toBe('v3/+/devices/+/#');
    expect(Object.fromEntries(filter.match('v3/a b/devices/dé:1/up/x')!)).toEqual({
      app: 'a b',
      device: 'dé:1',
      rest: 'up/x',
    });
    expect(filter.match('v3/a/devices')).toBeUndefined();
  });

  it.each(['', 'a/b+', 'a/#/b/#', '+x/+x', 'a\u0000', '+ä'])('refuses %j', (source) => {
    expect(() => parseTopicFilter(source)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('matches every topic that is made from it', () => {
    const level = fc.string().map((text) => text.replaceAll(/[+#/\0$]/g, 'x'));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), level), { minLength: 1, maxLength: 6 }), (levels) => {
        const filter = parseTopicFilter(levels.map(([wild, text], i) => (wild ? `+n${i}` : text || 'x')).join('/'));
        const topic = levels.map(([wild, text]) => (wild ? text : text || 'x')).join('/');
        const captured = filter.match(topic);
        expect(captured).toBeDefined();
        levels.forEach(([wild, text], i) => {
          if (wild) expect(captured!.get(`n${i}`)).toBe(text);
        });
      }),
    );
  });
});
