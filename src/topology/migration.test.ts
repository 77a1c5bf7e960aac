import { describe, expect, it } from 'vitest';
import { jsonCodec } from '../state/json-codec.ts';
import { TopologyBuilder } from './builder.ts';
import type { Stream } from './stream.ts';
import { TopologyTestDriver } from './test-driver.ts';
import type { SourceCodec, Topology, ValueCodec } from './topology.ts';
import { session, sliding, tumbling } from './windows/window-spec.ts';

interface Celsius {
  readonly celsius: number;
}
type Build = (readings: Stream<Celsius>, builder: TopologyBuilder, codec: ValueCodec<Celsius>) => Stream<unknown>;

const unused: SourceCodec<never> = { decode: () => ({ kind: 'skip', reason: 'unused' }) };
/** What was stored before: degrees Fahrenheit as a bare number. */
const former: ValueCodec<Celsius> = {
  encode: ({ celsius }) => Buffer.from(String((celsius * 9) / 5 + 32)),
  decode: (bytes) => ({ celsius: ((Number(Buffer.from(bytes).toString()) - 32) * 5) / 9 }),
};
const now = jsonCodec<Celsius>(2, (fahrenheit, version) => {
  expect(version).toBe(1);
  return { celsius: (((fahrenheit as number) - 32) * 5) / 9 };
});

function topology(build: Build, codec: ValueCodec<Celsius>): Topology {
  const builder = new TopologyBuilder('migrated');
  const readings = builder.source<Celsius>('readings', { topic: 'readings', codec: unused });
  build(readings, builder, codec).sink('out', { topic: 'out', encode: ({ key }) => ({ key, value: null }) });
  return builder.build();
}

const sum = {
  initial: () => ({ celsius: 0 }),
  add: (all: Celsius, { celsius }: Celsius) => ({ celsius: all.celsius + celsius }),
  merge: (a: Celsius, b: Celsius) => ({ celsius: a.celsius + b.celsius }),
};
const times = { graceMs: 5, idleMs: 1_000 };

const stores: Readonly<Record<string, Build>> = {
  'an aggregate': (readings, _, codec) => {
    return readings.window(tumbling(100, times)).aggregate('w', sum, { codec: { version: 1, ...codec } });
  },
  'an aggregate of sessions': (readings, _, codec) => {
    return readings.window(session(60, times)).aggregate('w', sum, { codec: { version: 1, ...codec } });
  },
  'the values of windows that are folded in order': (readings, _, codec) => {
    return readings.window(tumbling(100, times)).aggregate('w', sum, { ordered: codec });
  },
  'the values of sliding windows': (readings, _, codec) => {
    return readings.window(sliding(100, times)).aggregate('w', sum, { ordered: codec });
  },
  'a reduction': (readings, _, codec) => {
    return readings.window(tumbling(100, times)).reduce('w', (a, b) => (a.celsius > b.celsius ? a : b), { codec });
  },
  'waiting records of a join': (readings, builder, codec) => {
    const other = builder.source<Celsius>('other', { topic: 'other', codec: unused });
    const options = { withinMs: 200, kind: 'outer', left: codec, right: jsonCodec<Celsius>() } as const;
    return readings.join('w', other, options, (a, b) => [a?.celsius, b?.celsius]);
  },
  'the rows of a table': (readings, builder, codec) => {
    const table = builder.table<Celsius>('other', { topic: 'other', codec });
    return readings.joinTable('w', table, (a, b) => a.celsius + b.celsius);
  },
};

describe('an edit of a codec with a migration', () => {
  it.each(Object.keys(stores))('keeps %s', async (name) => {
    const build = stores[name]!;
    const play = async (edited: boolean): Promise<unknown[]> => {
      const driver = new TopologyTestDriver(topology(build, former));
      const other = driver.topology.nodes.has('other');
      if (other) driver.pipe('other', 'k', { celsius: 100 }, 5, 5);
      driver.pipe('readings', 'k', { celsius: 10 }, 10, 10);
      driver.pipe('readings', 'k', { celsius: 30 }, 40, 40);
      await driver.restart(edited ? topology(build, now) : undefined);
      driver.pipe('readings', 'k', { celsius: 20 }, 60, 60);
      if (edited) await driver.restart();
      if (other) driver.pipe('other', 'k', { celsius: -5 }, 50, 60);
      driver.pipe('readings', 'k', { celsius: 5 }, 300, 300);
      driver.tick(5_000);
      return driver.values('out');
    };
    const plain = await play(false);
    expect(plain.length).toBeGreaterThan(1);
    expect(await play(true)).toEqual(plain);
  });

  it.each(Object.keys(stores))('refuses %s without one', async (name) => {
    const driver = new TopologyTestDriver(topology(stores[name]!, former));
    if (driver.topology.nodes.has('other')) driver.pipe('other', 'k', { celsius: 100 }, 5, 5);
    driver.pipe('readings', 'k', { celsius: 10 }, 10, 10);
    await expect(driver.restart(topology(stores[name]!, jsonCodec<Celsius>(2)))).rejects.toThrow(/codec version 1/);
  });
});
