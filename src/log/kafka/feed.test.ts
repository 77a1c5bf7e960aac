import { expect, test } from 'vitest';
import { Feed } from './feed.ts';

const MEGABYTE = 2 ** 20;
const records = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    offset: from + i,
    timestamp: 0,
    key: null,
    value: Buffer.alloc(MEGABYTE),
  }));

test('is left out of the fetches while its reader is behind, and fetched again when there is room', () => {
  const feed = new Feed('t', 0, 0);
  expect(feed.hungry).toBe(true);
  for (let fetches = 0; feed.hungry; fetches++) {
    expect(fetches).toBeLessThan(10);
    const fetched = records(feed.position, 2);
    feed.accept(feed.position, { records: fetched, nextOffset: feed.position + 2, bytes: 2 * MEGABYTE }, 100);
  }
  // No more than what was allowed and one fetch above it.
  expect(feed.position).toBeLessThanOrEqual(6);
  const first = feed.take(2, 100 * MEGABYTE);
  expect(first.records.map(({ offset }) => offset)).toEqual([0, 1]);
  expect(feed.hungry).toBe(true);
});

test('forgets what was fetched for a place that the reader has left', () => {
  const feed = new Feed('t', 0, 5);
  feed.accept(0, { records: records(0, 1), nextOffset: 1, bytes: MEGABYTE }, 100);
  expect(feed.empty).toBe(true);
  expect(feed.position).toBe(5);
});
