import type { Collector, Operator, OperatorContext, StreamRecord } from '../../operators/operator.ts';
import type { KeyedStore, StoreCodec } from '../../state/store.ts';
import type { ValueCodec } from '../topology.ts';
import { decodeValue, versionOf } from '../value-versions.ts';
import type { Tagged } from './tagged.ts';

/**
 * Joins a stream with the row that a table has for the key at that moment. `right` records are the table's changes;
 * undefined deletes the row.
 */
export class TableJoinOperator<L, R, O> implements Operator<Tagged<L, R | undefined>, O> {
  readonly #codec: ValueCodec<R>;
  readonly #join: (value: L, row: R | undefined, key: string) => O;
  readonly #rowless: boolean;
  #rows!: KeyedStore<{ readonly row: R }>;

  /** @param rowless whether records without a row go on too; otherwise they are counted (`no-row`) and dropped. */
  constructor(codec: ValueCodec<R>, join: (value: L, row: R | undefined, key: string) => O, rowless: boolean) {
    this.#codec = codec;
    this.#join = join;
    this.#rowless = rowless;
  }

  init(context: OperatorContext): void {
    const codec = this.#codec;
    const rows: StoreCodec<{ readonly row: R }> = {
      version: versionOf(codec),
      encode: ({ row }) => codec.encode(row),
      decode: (bytes) => ({ row: codec.decode(bytes) }),
    };
    if (codec.migrate !== undefined) {
      rows.migrate = (bytes, version) => ({ row: decodeValue(codec, bytes, version) });
    }
    this.#rows = context.keyed('rows', rows);
  }

  process(record: StreamRecord<Tagged<L, R | undefined>>, out: Collector<O>): void {
    const { side, value } = record.value;
    if (side === 'right') {
      if (value === undefined) this.#rows.delete(record);
      else this.#rows.set(record, { row: value as R });
      return;
    }
    const row = this.#rows.get(record)?.row;
    if (row === undefined && !this.#rowless) out.count('no-row');
    else out.emit(this.#join(value as L, row, record.key), record.time);
  }
}
