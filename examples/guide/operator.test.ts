import { expect, it } from 'vitest';
import {
  type Collector,
  type Keyed,
  type Operator,
  type OperatorContext,
  type SlabStore,
  type SourceCodec,
  type StreamRecord,
  type Timers,
  TopologyBuilder,
  TopologyTestDriver,
} from '../../src/index.ts';

// region operator
/** Tells when a device has been silent for ten minutes, and how many readings it had sent until then. */
class Silence implements Operator<unknown, { readonly readings: number }> {
  #counts!: SlabStore;
  #timers!: Timers;

  init(context: OperatorContext): void {
    this.#counts = context.slab('counts', { readings: ['i32', 1] });
    this.#timers = context.timers;
  }

  process(record: StreamRecord<unknown>): void {
    if (!this.#counts.has(record)) this.#counts.create(record);
    this.#counts.i32('readings')[record.row]! += 1;
    this.#timers.set(record, record.ingestTime + 600_000);
  }

  timer(at: Keyed, time: number, out: Collector<{ readonly readings: number }>): void {
    out.emit({ readings: this.#counts.i32('readings')[at.row]! }, time);
    out.count('silent');
    this.#counts.delete(at);
  }
}
// endregion

const codec: SourceCodec<number> = { decode: () => ({ kind: 'skip', reason: 'unused' }) };

it('tells silent devices, also after a restart', async () => {
  const builder = new TopologyBuilder('silence');
  builder
    .source('readings', { topic: 'readings', codec })
    .process('silence', () => new Silence())
    .sink('silent', {
      topic: 'silent',
      encode: ({ key, value }) => ({ key, value: Buffer.from(`${value.readings}`) }),
    });
  // region restart
  const driver = new TopologyTestDriver(builder.build());
  driver.pipe('readings', 'kitchen', 20, 1_000);
  driver.pipe('readings', 'kitchen', 21, 2_000);
  await driver.restart();
  driver.tick(602_000);
  expect(driver.values('silent')).toEqual([{ readings: 2 }]);
  expect(driver.counts.get('silence', 'silent')).toBe(1);
  expect(driver.state('silence', 'counts').range()).toEqual([]);
  // endregion
});
