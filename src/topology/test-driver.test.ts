import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sums } from '../../test/topologies/sums.ts';
import { isFleetcastError } from '../errors.ts';
import { TopologyBuilder } from './builder.ts';
import { TopologyTestDriver } from './test-driver.ts';

describe('TopologyTestDriver', () => {
  it('pipes records, ticks and broadcasts through, and shows outputs, counts and state', () => {
    const driver = new TopologyTestDriver(sums());
    driver.pipe('in', 'a', 2, 100);
    driver.pipe('in', 'a', 3, 101);
    driver.broadcast(10);
    driver.pipe('in', 'b', 1, 102);
    expect(driver.values('out')).toEqual([0, 10, 2, 20, 0]);
    expect(driver.state('sum', 'sums').range()).toEqual([
      { key: 'a', value: { sum: 5 } },
      { key: 'b', value: { sum: 1 } },
    ]);
    expect(driver.state('sum', 'factor').get('')).toBe(10);
    driver.tick(109);
    expect(driver.counts.get('sum', 'idle')).toBe(0);
    driver.tick(200);
    expect(driver.values('out').slice(5)).toEqual([-10]);
    expect(driver.counts.get('sum', 'idle')).toBe(2);
    expect(driver.state('sum', 'sums').range()).toEqual([]);
    expect(driver.records('out')[5]).toMatchObject({ key: 'a', time: 200, ingestTime: 200, offset: 5 });
  });

  it('keeps undecodable input as dead letters and goes on', () => {
    const driver = new TopologyTestDriver(sums());
    driver.pipeBytes('in', 'a', Buffer.from('not json'), 7);
    driver.pipeBytes('in', null, Buffer.from('{"v":1,"t":1}'), 8);
    driver.pipeBytes('in', 'a', Buffer.from('{"v":4,"t":1}'), 9);
    expect(driver.values('copy')).toEqual([4]);
    expect(driver.deadLetters()).toMatchObject([
      { reason: 'undecodable', device: 'a', origin: 'in', offset: 0, time: 7, payload: Buffer.from('not json') },
      { reason: 'no-key', offset: 1 },
    ]);
    expect(driver.counts.get('in', 'undecodable')).toBe(1);
  });

  it('leaves nothing of a record that an operator failed on, in no store and no output', () => {
    const item = fc.record({
      key: fc.constantFrom('a', 'b'),
      value: fc.integer({ min: -2, max: 9 }),
      tick: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(item, { maxLength: 30 }), fc.integer({ min: 1, max: 7 }), (items, batch) => {
        const play = (withPoison: boolean): unknown => {
          let piped = 0;
          const driver = new TopologyTestDriver(sums('dead-letter'), { cut: () => ++piped % batch === 0 });
          for (const [i, { key, value, tick }] of items.entries()) {
            if (withPoison || value >= 0) driver.pipe('in', key, value, 100 + 4 * i, 100 + 4 * i);
            if (tick) driver.tick(101 + 4 * i);
          }
          const state = ['sums', '#timers'].map((store) => driver.state('sum', store).range());
          return [driver.values('out'), state];
        };
        expect(play(true)).toEqual(play(false));
      }),
    );
  });

  it('follows the policy of a node that throws', () => {
    const failing = new TopologyTestDriver(sums());
    expect(() => failing.pipe('in', 'a', -1, 5)).toThrowError(
      expect.toSatisfy(
        (e) => isFleetcastError(e, 'OPERATOR_FAILED') && /sum failed at offset 0 \(key a\)/.test(e.message),
      ),
    );
    const going = new TopologyTestDriver(sums('dead-letter'), { cut: () => false });
    going.pipe('in', 'a', 4, 5);
    going.pipe('in', 'a', -1, 5);
    going.pipe('in', 'b', 5, 5);
    expect(going.values('out')).toEqual([8, 0, 10, 0]);
    expect(going.deadLetters()).toMatchObject([
      {
        reason: 'operator-failed',
        device: 'a',
        offset: 1,
        message: expect.stringMatching(/sum, key a: Error: negative\n/),
      },
    ]);
  });

  it('treats an output that no log could take as a failure of its record', () => {
    const build = (onError: 'fail' | 'dead-letter') => {
      const builder = new TopologyBuilder('wrong');
      const source = builder.source<{ room?: string }>('in', {
        topic: 'in',
        codec: { decode: ({ value }) => ({ kind: 'record', value: JSON.parse(String(value)), time: 0 }) },
      });
      source
        .keyBy('by-room', ({ room }) => room!, { onError })
        .sink('out', {
          topic: 'out',
          encode: ({ key, value }) => ({ key, value: JSON.stringify(value) as never }),
          onError,
        });
      return new TopologyTestDriver(builder.build());
    };
    const going = build('dead-letter');
    going.pipe('in', 'a', {}, 1);
    going.pipe('in', 'a', { room: 'hall' }, 2);
    expect(going.deadLetters().map(({ reason, message }) => [reason, message.split('\n')[0]])).toEqual([
      ['encode-failed', 'by-room-out, key a: TypeError: the key of the output is undefined, not text, bytes or null'],
      ['encode-failed', 'out, key hall: TypeError: the value of the output is string, not bytes or null'],
    ]);
    expect(() => build('fail').pipe('in', 'a', {}, 1)).toThrow(
      /^by-room-out failed at offset 0 \(key a\) of in\/0: the key of the output is undefined/,
    );
  });

  it('gives the same bytes for any cuts and restarts', async () => {
    const item = fc.oneof(
      fc.record({ key: fc.constantFrom('a', 'b', 'c'), v: fc.integer({ min: -1, max: 9 }), after: fc.nat(6) }),
      fc.record({ tick: fc.constant(true), after: fc.nat(30) }),
      fc.record({ say: fc.nat(5), after: fc.constant(0) }),
    );
    const play = async (items: (typeof item extends fc.Arbitrary<infer T> ? T : never)[], breaks?: number[]) => {
      let i = 0;
      const next = () => breaks?.[i++ % breaks.length] ?? 0;
      const driver = new TopologyTestDriver(sums('dead-letter'), breaks ? { cut: () => next() === 1 } : {});
      let time = 1000;
      for (const step of items) {
        time += step.after;
        if ('tick' in step) driver.tick(time);
        else if ('say' in step) driver.broadcast(step.say);
        else driver.pipe('in', step.key, step.v, time, time);
        if (breaks && next() === 2) await driver.restart();
      }
      return ['out', 'dead-letters'].map((topic) => driver.outputs(topic));
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 40 }),
        fc.array(fc.nat(2), { minLength: 1, maxLength: 20 }),
        async (items, breaks) => {
          expect(await play(items, breaks)).toEqual(await play(items));
        },
      ),
      { numRuns: 200 },
    );
  });
});
