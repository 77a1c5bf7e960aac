import type {
  Collector,
  DeferredCollector,
  Operator,
  OperatorContext,
  StreamRecord,
} from '../../src/operators/operator.ts';
import { numberCodec } from '../../src/state/codecs.ts';
import { jsonCodec } from '../../src/state/json-codec.ts';
import type { GlobalStore, KeyedStore } from '../../src/state/store.ts';
import { TopologyBuilder } from '../../src/topology/builder.ts';
import type { ErrorPolicy, SourceCodec, Topology } from '../../src/topology/topology.ts';

/** Values as JSON `{ v, t }`; `tick` and `broadcast` as JSON too. */
export const codec: SourceCodec<number> = {
  decode({ value }) {
    const item = JSON.parse(Buffer.from(value!).toString('utf8'));
    if ('tick' in item) return { kind: 'tick', time: item.tick };
    if ('say' in item) return { kind: 'broadcast', value: item.say };
    return { kind: 'record', value: item.v, time: item.t };
  },
};

/** Sums by key; an idle key emits its sum by timer, all keys do at a broadcast of 5; a batch's emits in flush carry the global factor of their moment. */
class Sum implements Operator<number, number> {
  #sums!: KeyedStore<{ sum: number }>;
  #factor!: GlobalStore<number>;
  #timers!: OperatorContext['timers'];
  #fireTimers!: () => void;
  readonly #batch: { record: StreamRecord<number>; value: number }[] = [];

  init(context: OperatorContext): void {
    this.#sums = context.keyed('sums', jsonCodec());
    this.#factor = context.global('factor', jsonCodec(), 1);
    this.#timers = context.timers;
    this.#fireTimers = () => context.fireTimers();
  }

  process(record: StreamRecord<number>, out: Collector<number>): void {
    const held = this.#sums.get(record) ?? { sum: 0 };
    const { sum } = held;
    // In place, and before anything can fail: what a failing record has changed must not stay.
    held.sum += record.value;
    this.#sums.set(record, held);
    this.#timers.set(record, record.ingestTime + 10);
    out.emitTo('early', sum, record.time);
    if (record.value < 0) throw new Error('negative');
    this.#batch.push({ record, value: (sum + record.value) * this.#factor.get() });
  }

  flush(out: DeferredCollector<number>): void {
    for (const { record, value } of this.#batch.splice(0)) {
      out.at(record);
      out.emit(value, record.time);
    }
  }

  timer(at: { key: string; row: number }, time: number, out: Collector<number>): void {
    out.emit(-this.#sums.get(at)!.sum, time);
    this.#sums.delete(at);
    out.count('idle');
  }

  broadcast(value: unknown): void {
    this.#factor.set(value as number);
    if (value === 5) this.#fireTimers();
  }
}

/** Lets every third record of a key through, and keeps nothing after it: state that comes and goes with the records. */
class Third implements Operator<number, number> {
  #counts!: KeyedStore<number>;

  init(context: OperatorContext): void {
    this.#counts = context.keyed('counts', numberCodec);
  }

  process(record: StreamRecord<number>, out: Collector<number>): void {
    const count = (this.#counts.get(record) ?? 0) + 1;
    if (count < 3) {
      this.#counts.set(record, count);
    } else {
      this.#counts.delete(record);
      out.emit(record.value, record.time);
    }
  }
}

/** Keyed state, timers, a global, work in flush, a side output, a merge, several sinks on one topic. */
export function sums(onError: ErrorPolicy = 'fail'): Topology {
  const builder = new TopologyBuilder('test');
  const source = builder.source('in', { topic: 'in', codec });
  const sum = source.process('sum', () => new Sum(), { onError });
  const encode = (record: StreamRecord<number>) => ({ key: record.key, value: Buffer.from(String(record.value)) });
  const doubled = sum.filter('large', (v) => Math.abs(v) > 3).map('double', (v) => v * 2);
  doubled.merge(sum.output<number>('early')).sink('out', { topic: 'out', encode });
  source.process('third', () => new Third()).sink('thirds', { topic: 'out', encode });
  source.sink('copy', { topic: 'out', encode });
  return builder.build();
}
