import { describe, expect, it } from 'vitest';
import { CatchUp } from './catch-up.ts';

describe('CatchUp', () => {
  it('tells what comes again after a reconnection, each once, until enough is new', () => {
    const catchUp = new CatchUp();
    catchUp.connected(false);
    for (const print of ['a', 'b', 'c', 'd', 'b']) expect(catchUp.isRepeat(print, false)).toBe(false);
    catchUp.connected(true);
    const again = (print: string) => catchUp.isRepeat(print, false);
    expect(['b', 'b', 'new', 'c'].map(again)).toEqual([true, false, false, true]);
    for (let i = 0; i < 16; i++) expect(again(`n${i}`)).toBe(false);
    expect(again('d')).toBe(false);
  });

  it('does not count what the broker says is sent again', () => {
    const catchUp = new CatchUp(['a']);
    catchUp.connected(true);
    for (let i = 0; i < 100; i++) expect(catchUp.isRepeat(`in flight ${i}`, true)).toBe(false);
    expect(catchUp.isRepeat('a', false)).toBe(true);
  });

  it('knows what an earlier process has left, and that a new session repeats nothing', () => {
    const catchUp = new CatchUp(['a']);
    catchUp.connected(false);
    expect(catchUp.isRepeat('a', false)).toBe(false);
    const other = new CatchUp(['a']);
    other.connected(true);
    expect(other.isRepeat('a', false)).toBe(true);
  });

  it('remembers a bounded number', () => {
    const catchUp = new CatchUp(['earlier']);
    catchUp.connected(false);
    for (let i = 0; i < 140_000; i++) catchUp.isRepeat(String(i), false);
    catchUp.connected(true);
    expect(catchUp.isRepeat('139000', false)).toBe(true);
    expect(catchUp.isRepeat('100', false)).toBe(false);
    expect(catchUp.isRepeat('earlier', false)).toBe(false);
  });
});
