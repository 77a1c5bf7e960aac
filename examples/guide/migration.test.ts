import { expect, test } from 'vitest';
import {
  jsonCodec,
  type Operator,
  type OperatorContext,
  type SlabStore,
  type SourceCodec,
  type StoreCodec,
  type StreamRecord,
  type Topology,
  TopologyBuilder,
  TopologyTestDriver,
  tumbling,
} from '../../src/index.ts';

const codec: SourceCodec<number> = { decode: () => ({ kind: 'skip', reason: 'unused' }) };

class Peak implements Operator<number, never> {
  readonly #edited: boolean;
  #peaks!: SlabStore;

  constructor(edited: boolean) {
    this.#edited = edited;
  }

  init(context: OperatorContext): void {
    const former = { celsius: ['f32', 1] } as const;
    if (!this.#edited) {
      this.#peaks = context.slab('peaks', former);
      return;
    }
    // region slab
    this.#peaks = context.slab('peaks', { kelvin: ['f64', 1], count: ['i32', 1] }, [
      {
        from: { celsius: ['f32', 1] },
        migrate: ({ celsius }, { kelvin }) => {
          kelvin![0] = celsius![0]! + 273.15;
        },
      },
    ]);
    // endregion
  }

  process(record: StreamRecord<number>): void {
    if (!this.#peaks.has(record)) this.#peaks.create(record);
    if (!this.#edited) this.#peaks.f32('celsius')[record.row] = record.value;
  }
}

function topology(sums: StoreCodec<{ sum: number }>, edited: boolean): Topology {
  const builder = new TopologyBuilder('kitchen');
  const readings = builder.source('readings', { topic: 'readings', codec });
  const sum = { initial: () => ({ sum: 0 }), add: ({ sum }: { sum: number }, value: number) => ({ sum: sum + value }) };
  readings
    .window(tumbling(60_000))
    .aggregate('sums', sum, { codec: sums })
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(JSON.stringify(value)) }) });
  readings.process('peak', () => new Peak(edited)).sink('none', { topic: 'none', encode: () => undefined });
  return builder.build();
}

test('state survives an edit of its codecs', async () => {
  const sums = jsonCodec<{ sum: number }>();
  // region migration
  // Version 1 was { sum }. Version 2 is the same in tenths, and reads what version 1 has left.
  const tenths = jsonCodec<{ sum: number }>(2, (old) => ({ sum: (old as { sum: number }).sum * 10 }));

  const driver = new TopologyTestDriver(topology(sums, false));
  driver.pipe('readings', 'kitchen', 20, 1_000);
  await driver.restart(topology(tenths, true));
  expect(driver.state('peak', 'peaks').get('kitchen')).toEqual({
    kelvin: Float64Array.of(293.15),
    count: Int32Array.of(0),
  });
  driver.pipe('readings', 'kitchen', 5, 61_000);
  expect(driver.values('out')).toMatchObject([{ value: { sum: 200 } }]);
  // endregion
});
