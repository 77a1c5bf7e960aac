import { describe, expect, it } from 'vitest';
import { CatchUp } from './catch-up.ts';

const first = {};
const second = {};

describe('CatchUp', () => {
  it('tells what comes again after a reconnection, until enough is new', () => {
    const catchUp = new CatchUp();
    for (const print of ['a', 'b', 'c', 'b']) expect(catchUp.isRepeat(print, first)).toBe(false);
    const again = (print: string) => catchUp.isRepeat(print, second);
    expect(['b', 'new', 'c'].map(again)).toEqual([true, false, true]);
    for (let i = 0; i < 16; i++) expect(again(`n${i}`)).toBe(false);
    expect(again('c')).toBe(false);
  });

  it('remembers a bounded number', () => {
    const catchUp = new CatchUp();
    for (let i = 0; i < 40_000; i++) catchUp.isRepeat(String(i), first);
    expect(catchUp.isRepeat('39000', second)).toBe(true);
    expect(catchUp.isRepeat('100', second)).toBe(false);
  });
});
