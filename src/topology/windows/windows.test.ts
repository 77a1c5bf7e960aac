import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberCodec } from '../../state/codecs.ts';
import { jsonCodec } from '../../state/json-codec.ts';
import type { Aside } from '../aside.ts';
import { TopologyBuilder } from '../builder.ts';
import type { WindowedStream } from '../stream.ts';
import { TopologyTestDriver } from '../test-driver.ts';
import type { SourceCodec } from '../topology.ts';
import { type Aggregator, hopping, session, sliding, tumbling, type Windowed, type WindowSpec } from './window-spec.ts';

const codec: SourceCodec<number> = { decode: () => ({ kind: 'skip', reason: 'unused' }) };
const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});
const mean: Aggregator<number, { sum: number; count: number }> = {
  initial: () => ({ sum: 0, count: 0 }),
  add: (a, value) => ({ sum: a.sum + value, count: a.count + 1 }),
};
const list: Aggregator<number, number[]> = {
  initial: () => [],
  add: (values, value) => [...values, value],
  merge: (earlier, later) => [...earlier, ...later],
};

function driverOf(
  spec: WindowSpec,
  build: (windows: WindowedStream<number>) => { sink: TopologyStreamSink; output?: (name: string) => unknown },
  cut?: () => boolean,
): TopologyTestDriver {
  const builder = new TopologyBuilder('windows');
  const windows = build(builder.source<number>('in', { topic: 'in', codec }).window(spec));
  windows.sink('out', { topic: 'out', encode });
  const named = windows as unknown as { output(name: string): { sink: TopologyStreamSink } };
  named.output('late').sink('late', { topic: 'late', encode });
  named.output('future').sink('future', { topic: 'future', encode });
  return new TopologyTestDriver(builder.build(), cut === undefined ? {} : { cut });
}

type TopologyStreamSink = (name: string, options: { topic: string; encode: typeof encode }) => void;

/** Plays `[event time, value]` for key a, ingested at the event time unless said otherwise. */
function play(driver: TopologyTestDriver, records: readonly (readonly [number, number])[], ingest?: number): void {
  for (const [time, value] of records) driver.pipe('in', 'a', value, time, ingest ?? 1000);
}

const brief = ({ start, end, value, revision }: Windowed<unknown>) => [start, end, value, revision];

describe('windows', () => {
  it('forgets a key as long after a late record or a correction as after any other', () => {
    for (const correctMs of [0, 1_000_000]) {
      const builder = new TopologyBuilder('counts');
      builder
        .source<number>('in', { topic: 'in', codec })
        .window(tumbling(10, { idleMs: 100, forgetMs: 1_000_000, correctMs }))
        .count('count')
        .sink('out', { topic: 'out', encode });
      const driver = new TopologyTestDriver(builder.build());
      for (let i = 0; i < 5; i++) driver.pipe('in', 'k', 1, 1000 + i, 1000);
      driver.tick(1200);
      driver.pipe('in', 'k', 1, 1005, 1300);
      driver.tick(1500);
      driver.pipe('in', 'k', 1, 1006, 1600);
      driver.tick(1800);
      const revisions = driver.values<Windowed<number>>('out').map(({ revision, value }) => [revision, value]);
      expect(revisions).toEqual(
        correctMs === 0
          ? [[1, 5]]
          : [
              [1, 5],
              [2, 6],
              [3, 7],
            ],
      );
      driver.tick(1_001_699);
      expect(driver.state('count', 'windows').get('k')).toBeDefined();
      driver.tick(1_001_700);
      expect(driver.state('count', 'windows').get('k')).toBeUndefined();
    }
  });

  it('takes a record without a finite event time for undecodable, and the key goes on', () => {
    const builder = new TopologyBuilder('counts');
    builder
      .source<number>('in', { topic: 'in', codec })
      .window(tumbling(10))
      .count('count')
      .sink('out', { topic: 'out', encode });
    const driver = new TopologyTestDriver(builder.build());
    driver.pipe('in', 'k', 1, 1000, 1000);
    driver.pipe('in', 'k', 1, Number.NaN, 1001);
    driver.pipe('in', 'k', 1, 1020, 1020);
    expect(driver.values('out')).toHaveLength(1);
    expect(driver.deadLetters()).toMatchObject([{ reason: 'undecodable', message: 'its event time is NaN' }]);
  });

  it('goes on after a restart with the very state that it had, NaN and -0 included', async () => {
    const outputs = [];
    for (const restart of [false, true]) {
      const builder = new TopologyBuilder('sums');
      builder
        .source<number>('in', { topic: 'in', codec })
        .window(tumbling(1000))
        .aggregate('sum', { initial: () => -0, add: (sum, value) => sum + value })
        .sink('out', {
          topic: 'out',
          encode: ({ key, value }) => ({ key, value: Buffer.from(String(1 / value.value)) }),
        });
      const driver = new TopologyTestDriver(builder.build());
      driver.pipe('in', 'a', Number.NaN, 10, 10);
      driver.pipe('in', 'b', -0, 10, 10);
      if (restart) await driver.restart();
      driver.pipe('in', 'a', 5, 20, 20);
      driver.pipe('in', 'a', 5, 2000, 2000);
      driver.pipe('in', 'b', 5, 2000, 2000);
      outputs.push(driver.outputs('out').map(({ value }) => String(value)));
    }
    expect(outputs).toEqual([
      ['NaN', '-Infinity'],
      ['NaN', '-Infinity'],
    ]);
  });

  it.each<[string, WindowSpec, 'close' | 'update', [number, number][], unknown[]]>([
    [
      'tumbling, closed by the watermark',
      tumbling(10),
      'close',
      [
        [1, 1],
        [9, 2],
        [5, 3],
        [10, 4],
        [31, 5],
      ],
      [
        [0, 10, [1, 2, 3], 1],
        [10, 20, [4], 1],
      ],
    ],
    [
      'tumbling, each update',
      tumbling(10),
      'update',
      [
        [1, 1],
        [9, 2],
        [12, 3],
      ],
      [
        [0, 10, [1], 0],
        [0, 10, [1, 2], 0],
        [10, 20, [3], 0],
      ],
    ],
    [
      'tumbling with a grace',
      tumbling(10, { graceMs: 5 }),
      'close',
      [
        [9, 1],
        [14, 2],
        [8, 3],
        [15, 4],
      ],
      [[0, 10, [1, 3], 1]],
    ],
    [
      'hopping',
      hopping(10, 5),
      'close',
      [
        [7, 1],
        [12, 2],
        [40, 3],
      ],
      [
        [0, 10, [1], 1],
        [5, 15, [1, 2], 1],
        [10, 20, [2], 1],
      ],
    ],
    [
      'hopping by a step that does not divide the size',
      hopping(10, 4),
      'close',
      [
        [9, 1],
        [30, 2],
      ],
      [
        [0, 10, [1], 1],
        [4, 14, [1], 1],
        [8, 18, [1], 1],
      ],
    ],
    [
      'times before the epoch',
      tumbling(10),
      'close',
      [
        [-3, 1],
        [1, 2],
      ],
      [[-10, 0, [1], 1]],
    ],
    [
      'sessions, joined by a record between them',
      session(10, { graceMs: 20 }),
      'close',
      [
        [0, 1],
        [15, 2],
        [8, 3],
        [60, 4],
      ],
      [[0, 25, [1, 3, 2], 1]],
    ],
    [
      'sliding, when each time is passed',
      sliding(10),
      'close',
      [
        [1, 1],
        [5, 2],
        [11, 3],
        [12, 4],
      ],
      [
        [-9, 1, [1], 1],
        [-5, 5, [1, 2], 1],
        [1, 11, [2, 3], 1],
      ],
    ],
    [
      'sliding, each update, also of later times',
      sliding(10, { graceMs: 10 }),
      'update',
      [
        [1, 1],
        [8, 2],
        [5, 3],
      ],
      [
        [-9, 1, [1], 0],
        [-2, 8, [1, 2], 0],
        [-5, 5, [1, 3], 0],
        [-2, 8, [1, 3, 2], 0],
      ],
    ],
  ])('%s', (_, spec, emit, records, expected) => {
    const driver = driverOf(spec, (windows) => windows.aggregate('w', list, { emit }));
    play(driver, records);
    expect(driver.values<Windowed<unknown>>('out').map(brief)).toEqual(expected);
  });

  it('gives late records to an output, and corrects closed windows where that is wanted', () => {
    const dropping = driverOf(tumbling(10), (windows) => windows.count('w'));
    play(dropping, [
      [5, 1],
      [25, 1],
      [6, 7],
    ]);
    expect(dropping.values('late')).toEqual([7]);
    expect(dropping.counts.get('w', 'late')).toBe(1);

    const correcting = driverOf(tumbling(10, { correctMs: 20 }), (windows) => windows.count('w'));
    play(correcting, [
      [5, 1],
      [25, 1],
      [6, 7],
      [31, 1],
      [7, 8],
    ]);
    expect(correcting.values<Windowed<number>>('out').map(brief)).toEqual([
      [0, 10, 1, 1],
      [0, 10, 2, 2],
      [20, 30, 1, 1],
    ]);
    expect(correcting.values('late')).toEqual([8]);
  });

  it('puts records from the future aside, and lets no key hurt another', () => {
    const driver = driverOf(tumbling(10, { futureMs: 100 }), (windows) => windows.count('w'));
    driver.pipe('in', 'fast', 1, 5000, 1000);
    driver.pipe('in', 'fast', 2, 1090, 1000);
    driver.pipe('in', 'good', 3, 1001, 1000);
    driver.pipe('in', 'good', 4, 1012, 1000);
    expect(driver.values('future')).toEqual([1]);
    expect(driver.values('late')).toEqual([]);
    expect(driver.records('out').map(({ key, value }) => [key, (value as Windowed<number>).start])).toEqual([
      ['good', 1000],
    ]);
  });

  it.each<[string, (aside: { late?: Aside; future?: Aside }) => WindowSpec]>([
    ['tumbling', (aside) => tumbling(10, { futureMs: 100, ...aside })],
    ['session', (aside) => session(10, { futureMs: 100, ...aside })],
    ['sliding', (aside) => sliding(10, { futureMs: 100, ...aside })],
  ])('puts late and future records where the policy says, and counts them in every case: %s', (_, specOf) => {
    const topologyOf = (aside: { late?: Aside; future?: Aside }, connected: boolean) => {
      const builder = new TopologyBuilder('windows');
      const windows = builder.source<number>('in', { topic: 'in', codec }).window(specOf(aside)).count('w');
      windows.sink('out', { topic: 'out', encode });
      if (connected) {
        windows.output('late').sink('late', { topic: 'late', encode });
        windows.output('future').sink('future', { topic: 'future', encode });
      }
      return builder.build();
    };
    const run = (aside: { late?: Aside; future?: Aside }, connected: boolean) => {
      const driver = new TopologyTestDriver(topologyOf(aside, connected));
      driver.pipe('in', 'a', 1, 40, 1000);
      driver.pipe('in', 'a', 2, 80, 1000);
      driver.pipe('in', 'a', 3, 5, 1001);
      driver.pipe('in', 'a', 4, 5000, 1002);
      driver.pipe('in', 'a', 5, 200, 1003);
      expect(driver.counts.get('w', 'late')).toBe(1);
      expect(driver.counts.get('w', 'future')).toBe(1);
      expect(driver.values('out').length).toBe(2);
      return {
        outputs: connected ? [...driver.values('late'), ...driver.values('future')] : undefined,
        letters: driver.deadLetters().map(({ reason, offset, device, message }) => [reason, offset, device, message]),
      };
    };
    const letters = [
      ['late', 2, 'a', expect.stringMatching(/^w, key a: 1970-01-01T00:00:00.005Z: its window/)],
      ['future', 3, 'a', 'w, key a: 1970-01-01T00:00:05.000Z is 3998 ms ahead of when it came in'],
    ];
    expect(run({}, true)).toEqual({ outputs: [3, 4], letters: [] });
    // Nobody reads the outputs: nothing is lost without being told to.
    expect(run({}, false)).toEqual({ outputs: undefined, letters });
    expect(run({ late: 'dead-letter', future: 'dead-letter' }, true)).toEqual({ outputs: [], letters });
    expect(run({ late: 'drop', future: 'drop' }, true)).toEqual({ outputs: [], letters: [] });
    expect(run({ late: 'drop' }, false)).toEqual({ outputs: undefined, letters: letters.slice(1) });
    expect(run({ late: 'output' }, false)).toEqual({ outputs: undefined, letters: letters.slice(1) });
  });

  it('closes the windows of a quiet key by ticks, not by the event time of a backfill', () => {
    const driver = driverOf(tumbling(10, { idleMs: 50, forgetMs: 100 }), (windows) => windows.count('w'));
    play(
      driver,
      [
        [1, 1],
        [2, 1],
      ],
      100_000,
    );
    driver.tick(100_049);
    expect(driver.values('out')).toEqual([]);
    driver.tick(100_050);
    expect(driver.values<Windowed<number>>('out').map(brief)).toEqual([[0, 10, 2, 1]]);
    play(driver, [[3, 1]], 100_060);
    expect(driver.counts.get('w', 'late')).toBe(1);
    driver.tick(100_200);
    driver.tick(100_300);
    expect(driver.state('w', 'windows').range()).toEqual([]);
  });

  it('reduces, also sliding and in sessions', () => {
    for (const spec of [tumbling(10), session(10), sliding(10)]) {
      const driver = driverOf(spec, (windows) => windows.reduce('w', Math.max));
      play(driver, [
        [1, 3],
        [2, 9],
        [50, 1],
      ]);
      expect(driver.values<Windowed<number>>('out').at(-1)!.value).toBe(9);
    }
    const counted = driverOf(sliding(10), (windows) => windows.count('w'));
    play(counted, [
      [1, 3],
      [1, 3],
      [5, 9],
      [50, 1],
    ]);
    expect(counted.values<Windowed<number>>('out').map(({ value }) => value)).toEqual([2, 3]);
  });

  it('gives the same bits for every order of arrival within the grace, any cuts and restarts', async () => {
    const record = fc.tuple(fc.nat(100), fc.double({ noNaN: true, min: -1e6, max: 1e6 }));
    const specs = [
      tumbling(10, { graceMs: 100 }),
      hopping(15, 4, { graceMs: 100 }),
      session(6, { graceMs: 100 }),
      sliding(12, { graceMs: 100 }),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...specs),
        fc
          .array(record, { minLength: 1, maxLength: 25 })
          .chain((records) =>
            fc.tuple(fc.constant(records), fc.shuffledSubarray(records, { minLength: records.length })),
          ),
        fc.array(fc.nat(2), { minLength: 1, maxLength: 9 }),
        async (spec, [records, shuffled], breaks) => {
          const results = async (order: typeof records, broken: boolean) => {
            let i = 0;
            const next = (): number => breaks[i++ % breaks.length]!;
            const build = (windows: WindowedStream<number>) => windows.aggregate('w', mean, { ordered: numberCodec });
            const driver = driverOf(spec, build, broken ? () => next() === 1 : undefined);
            for (const each of order) {
              play(driver, [each]);
              if (broken && next() === 2) await driver.restart();
            }
            play(driver, [[10_000, 0]]);
            return driver.outputs('out');
          };
          const strip = (outputs: Awaited<ReturnType<typeof results>>) => outputs.map(({ value }) => String(value));
          const plain = strip(await results(records, false));
          expect(strip(await results(shuffled, false))).toEqual(plain);
          expect(await results(records, true)).toEqual(await results(records, false));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('refuses sessions whose parts cannot be merged, and lengths that make no sense', () => {
    expect(() => driverOf(session(10), (windows) => windows.aggregate('w', mean, { codec: jsonCodec() }))).toThrow(
      /merge/,
    );
    expect(() => tumbling(0)).toThrow(/size of 0/);
    expect(() => hopping(5, 10)).toThrow(/advance by more/);
  });
});
