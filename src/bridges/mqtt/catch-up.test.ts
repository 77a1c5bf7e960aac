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

  describe('with a broker that counts its packets anew at each connection', () => {
    const at = (content: string, packet: number) => content + (0x10000 + packet).toString(16).slice(1);
    const sent = (catchUp: CatchUp, content: (packet: number) => string, from = 1) => {
      let repeats = 0;
      for (let n = from; n < from + 500; n++) if (catchUp.isRepeat(at(content(n), n), false)) repeats++;
      return repeats;
    };
    const same = () => '{"t":21.5}';
    const numbered = (n: number) => `{"n":${n}}`;

    it('takes none of what a sensor says again and again for a repetition', () => {
      const catchUp = new CatchUp();
      catchUp.connected(false);
      expect(sent(catchUp, same)).toBe(0);
      for (let connection = 0; connection < 3; connection++) {
        catchUp.connected(true);
        expect(sent(catchUp, same)).toBe(0);
      }
      const restarted = new CatchUp(Array.from({ length: 500 }, (_, n) => at(same(), n + 1)));
      restarted.connected(true);
      expect(sent(restarted, same)).toBe(0);
    });

    it('still tells what can only have come before', () => {
      const catchUp = new CatchUp();
      catchUp.connected(false);
      expect(sent(catchUp, numbered)).toBe(0);
      catchUp.connected(true);
      expect(sent(catchUp, numbered)).toBe(500);
    });

    it('trusts the numbers of a broker that goes on counting, also where they begin at 1 again', () => {
      const catchUp = new CatchUp();
      catchUp.connected(false);
      expect(sent(catchUp, same, 0xffff - 499)).toBe(0);
      catchUp.connected(true);
      catchUp.isRepeat(at(same(), 1), false);
      catchUp.connected(true);
      expect(sent(catchUp, same, 0xffff - 499)).toBe(500);
    });
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
