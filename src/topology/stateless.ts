import type { Collector, Operator, StreamRecord } from '../operators/operator.ts';

export class MapOperator<I, O> implements Operator<I, O> {
  readonly #map: (value: I, key: string) => O;

  constructor(map: (value: I, key: string) => O) {
    this.#map = map;
  }

  process(record: StreamRecord<I>, out: Collector<O>): void {
    out.emit(this.#map(record.value, record.key), record.time);
  }
}

export class FilterOperator<T> implements Operator<T, T> {
  readonly #keep: (value: T, key: string) => boolean;

  constructor(keep: (value: T, key: string) => boolean) {
    this.#keep = keep;
  }

  process(record: StreamRecord<T>, out: Collector<T>): void {
    if (this.#keep(record.value, record.key)) out.emit(record.value, record.time);
  }
}

export class FlatMapOperator<I, O> implements Operator<I, O> {
  readonly #map: (value: I, key: string) => Iterable<O>;

  constructor(map: (value: I, key: string) => Iterable<O>) {
    this.#map = map;
  }

  process(record: StreamRecord<I>, out: Collector<O>): void {
    for (const value of this.#map(record.value, record.key)) out.emit(value, record.time);
  }
}
