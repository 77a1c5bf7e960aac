import type { Collector, Operator, StreamRecord } from '../operators/operator.ts';

/** Sends each record to the first branch whose test holds; records without a branch are counted and dropped. */
export class SplitOperator<T> implements Operator<T, never> {
  readonly #branches: readonly (readonly [string, (value: T, key: string) => boolean])[];

  constructor(branches: Readonly<Record<string, (value: T, key: string) => boolean>>) {
    this.#branches = Object.entries(branches);
  }

  process(record: StreamRecord<T>, out: Collector<never>): void {
    for (const [name, test] of this.#branches) {
      if (!test(record.value, record.key)) continue;
      out.emitTo(name, record.value, record.time);
      return;
    }
    out.count('no-branch');
  }
}
