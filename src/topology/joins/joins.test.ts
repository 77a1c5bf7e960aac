import { describe, expect, it } from 'vitest';
import { numberCodec, stringCodec } from '../../state/codecs.ts';
import { jsonCodec } from '../../state/json-codec.ts';
import { TopologyBuilder } from '../builder.ts';
import { TopologyTestDriver } from '../test-driver.ts';
import type { SourceCodec } from '../topology.ts';

const unused: SourceCodec<never> = { decode: () => ({ kind: 'skip', reason: 'unused' }) };
const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});

function joined(kind: 'inner' | 'left' | 'outer', forgetMs?: number): TopologyTestDriver {
  const builder = new TopologyBuilder('join');
  const left = builder.source<string>('left', { topic: 'left', codec: unused });
  const right = builder.source<number>('right', { topic: 'right', codec: unused });
  const options = {
    withinMs: 10,
    graceMs: 5,
    idleMs: 100,
    kind: 'outer',
    left: stringCodec,
    right: numberCodec,
    ...(forgetMs === undefined ? {} : { forgetMs }),
  } as const;
  const pairs = left.join('pairs', right, { ...options, kind: kind as 'outer' }, (l, r) => [l ?? null, r ?? null]);
  pairs.sink('out', { topic: 'out', encode });
  pairs.output('late').sink('late', { topic: 'late', encode });
  return new TopologyTestDriver(builder.build());
}

describe('stream-stream join', () => {
  it('gives every pair within the bound, whichever comes first', async () => {
    const driver = joined('inner');
    driver.pipe('left', 'k', 'a', 100, 1000);
    driver.pipe('right', 'k', 1, 110, 1000);
    driver.pipe('right', 'k', 2, 111, 1000);
    driver.pipe('right', 'other', 3, 100, 1000);
    await driver.restart();
    driver.pipe('left', 'k', 'b', 105, 1000);
    expect(driver.records('out').map(({ value, time }) => [value, time])).toEqual([
      [['a', 1], 110],
      [['b', 1], 110],
      [['b', 2], 111],
    ]);
  });

  it('gives the lonely when no partner can come: by watermark, or after a quiet time', () => {
    const driver = joined('outer');
    driver.pipe('left', 'k', 'a', 100, 1000);
    driver.pipe('right', 'k', 1, 115, 1000);
    expect(driver.values('out')).toEqual([]);
    driver.pipe('right', 'k', 2, 116, 1000);
    expect(driver.values('out')).toEqual([['a', null]]);
    driver.tick(1099);
    expect(driver.values('out')).toHaveLength(1);
    driver.tick(1100);
    expect(driver.values('out').slice(1)).toEqual([
      [null, 1],
      [null, 2],
    ]);
    const left = joined('left');
    left.pipe('right', 'k', 1, 100, 1000);
    left.tick(2000);
    expect(left.values('out')).toEqual([]);
  });

  it('puts records aside that nothing kept can match', () => {
    const driver = joined('inner');
    driver.pipe('left', 'k', 'a', 200, 1000);
    driver.pipe('right', 'k', 1, 184, 1000);
    driver.pipe('right', 'k', 2, 185, 1000);
    expect(driver.values('late')).toEqual([1]);
  });

  it('forgets a key of which nothing is kept, when it has been quiet for long enough', async () => {
    const driver = joined('outer', 1_000);
    for (let i = 0; i < 50; i++) driver.pipe('left', `k-${i}`, 'a', 100, 1000);
    driver.tick(1_100);
    expect(driver.values('out')).toHaveLength(50);
    const held = () => driver.state('pairs', 'waiting').range().length;
    // A late one counts as a sign of life, though nothing of it is kept.
    driver.pipe('right', 'k-7', 1, 90, 1_200);
    driver.pipe('right', 'k-8', 1, 200, 1_200);
    expect(driver.counts.get('pairs', 'late')).toBe(1);
    await driver.restart();
    driver.tick(2_099);
    expect(held()).toBe(50);
    driver.tick(2_100);
    expect(
      driver
        .state('pairs', 'waiting')
        .range()
        .map(({ key }) => key),
    ).toEqual(['k-7', 'k-8']);
    driver.tick(2_299);
    expect(held()).toBe(2);
    driver.tick(2_300);
    expect(
      driver
        .state('pairs', 'waiting')
        .range()
        .map(({ key }) => key),
    ).toEqual(['k-8']);
    await driver.restart();
    driver.tick(2_300 + 1_000);
    expect(held()).toBe(0);
    // It begins anew.
    driver.pipe('right', 'k-7', 1, 90, 3_400);
    expect(driver.counts.get('pairs', 'late')).toBe(1);
    const keeps = joined('outer');
    keeps.pipe('left', 'k', 'a', 100, 1000);
    keeps.tick(1_100);
    keeps.tick(1e12);
    expect(keeps.state('pairs', 'waiting').range()).toHaveLength(1);
  });

  it('puts records from the future aside, which would make all others late', () => {
    const driver = joined('inner');
    driver.pipe('left', 'k', 'ahead', 3_601_001, 1000);
    driver.pipe('left', 'k', 'a', 3_601_000, 1000);
    driver.pipe('right', 'k', 1, 3_601_000, 1000);
    expect(driver.values('out')).toEqual([['a', 1]]);
    expect(driver.counts.get('pairs', 'future')).toBe(1);
    expect(driver.deadLetters()).toMatchObject([{ reason: 'future' }]);
  });
});

describe('stream-table join', () => {
  it('finds the row of the moment', async () => {
    const builder = new TopologyBuilder('join');
    const stream = builder.source<number>('stream', { topic: 'stream', codec: unused });
    const names = builder.table('names', { topic: 'names', codec: jsonCodec<string>() });
    stream.joinTable('inner', names, (n, name) => `${name} ${n}`).sink('out', { topic: 'out', encode });
    stream
      .joinTable('left', names, (n, name) => `${name ?? 'nobody'} ${n}`, { kind: 'left' })
      .sink('left-out', { topic: 'left-out', encode });
    const driver = new TopologyTestDriver(builder.build());
    const name = (text: string | null) =>
      driver.pipeBytes('names', 'k', text === null ? null : Buffer.from(`"${text}"`), 1);
    driver.pipe('stream', 'k', 1, 1);
    name('Ada');
    driver.pipe('stream', 'k', 2, 1);
    name('Grace');
    await driver.restart();
    driver.pipe('stream', 'k', 3, 1);
    name(null);
    driver.pipe('stream', 'k', 4, 1);
    expect(driver.values('out')).toEqual(['Ada 2', 'Grace 3']);
    expect(driver.values('left-out')).toEqual(['nobody 1', 'Ada 2', 'Grace 3', 'nobody 4']);
    expect(driver.counts.get('inner', 'no-row')).toBe(2);
  });
});
