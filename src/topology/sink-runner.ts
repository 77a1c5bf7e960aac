import type { OutRecord } from '../log/event-log.ts';
import type { Control, MicroBatch } from './micro-batch.ts';
import type { PoisonHandler } from './poison.ts';
import { type AnyRecord, mergeBuffers, RecordBuffer } from './record-buffer.ts';
import { encodeTick, type RepartitionEncoder } from './repartition.ts';
import type { EncodedRecord, SinkNode } from './topology.ts';

/** Output records, with the turns that caused them. */
export interface Staged {
  readonly turns: number[];
  readonly records: OutRecord[];
}

/** Where a sink writes. */
export interface SinkTarget {
  readonly topic: string;
  partitionOf(key: Uint8Array | null): number;
  /** Set where ticks go on to every partition of the topic. */
  readonly ticks?: { readonly from: number; readonly of: number; readonly partitions: number };
}

/** Encodes what reaches a sink. */
export class SinkRunner {
  readonly node: SinkNode;
  readonly edges: readonly RecordBuffer[];
  readonly target: SinkTarget;
  /** What the micro-batch has written, in the order of the turns. */
  staged: Staged = { turns: [], records: [] };
  /** Sees each record that was encoded, before it is bytes. For tests. */
  onRecord: ((record: AnyRecord) => void) | undefined;
  readonly #poison: PoisonHandler;
  readonly #merged: RecordBuffer;
  readonly #origins: boolean;
  readonly #maxRecordBytes: number;

  /**
   * @param options.origins whether what comes here has an origin from an earlier `keyBy`
   * @param options.maxRecordBytes what the log takes of a record: a larger one is a failure of what caused it, not of all
   * that is committed with it
   */
  constructor(
    node: SinkNode,
    edges: readonly RecordBuffer[],
    target: SinkTarget,
    poison: PoisonHandler,
    options: { readonly origins: boolean; readonly maxRecordBytes?: number | undefined },
  ) {
    this.#origins = options.origins;
    this.#maxRecordBytes = options.maxRecordBytes ?? Number.POSITIVE_INFINITY;
    this.node = node;
    this.edges = edges;
    this.target = target;
    this.#poison = poison;
    this.#merged = edges.length === 1 ? edges[0]! : new RecordBuffer();
  }

  /** @param silent drops everything: the task replays what it has written before. */
  run(batch: MicroBatch, silent: boolean): void {
    if (!silent) {
      if (this.edges.length === 1) this.#merged.sort();
      else mergeBuffers(this.edges, this.#merged);
      const { items, count } = this.#merged;
      let i = 0;
      if (this.target.ticks !== undefined) {
        for (const control of batch.controls) {
          while (i < count && items[i]!.turn <= control.turn) this.#write(items[i++]!, batch);
          if (control.kind === 'tick') this.#tick(control, this.target.ticks);
        }
      }
      while (i < count) this.#write(items[i++]!, batch);
    }
    for (const edge of this.edges) edge.clear();
  }

  #tick({ turn, time, ingestTime }: Control & { kind: 'tick' }, ticks: NonNullable<SinkTarget['ticks']>): void {
    const value = encodeTick(time, ticks.from, ticks.of);
    for (let partition = 0; partition < ticks.partitions; partition++) {
      this.staged.turns.push(turn);
      this.staged.records.push({ topic: this.target.topic, partition, timestamp: ingestTime, key: null, value });
    }
  }

  #encode(record: AnyRecord, batch: MicroBatch): EncodedRecord | undefined {
    const { encode, repartition } = this.node;
    if (repartition === undefined || !this.#origins) return encode(record);
    return (encode as RepartitionEncoder<unknown>)(record, batch.origins.of(record));
  }

  #write(record: AnyRecord, batch: MicroBatch): void {
    try {
      const encoded = this.#encode(record, batch);
      if (encoded === undefined) return;
      const key = typeof encoded.key === 'string' ? keyBytes(encoded.key, record, batch) : encoded.key;
      // What the compiler did not see: the log would fail on it, and all that is committed together.
      if (!isBytes(key)) throw new TypeError(`the key of the output is ${typeof key}, not text, bytes or null`);
      if (!isBytes(encoded.value)) {
        throw new TypeError(`the value of the output is ${typeof encoded.value}, not bytes or null`);
      }
      const { topic } = this.target;
      const bytes = (key?.length ?? 0) + (encoded.value?.length ?? 0);
      if (bytes > this.#maxRecordBytes) {
        throw new RangeError(`the output has ${bytes} bytes, of which the log takes ${this.#maxRecordBytes}`);
      }
      const out = {
        topic,
        partition: this.target.partitionOf(key),
        timestamp: record.ingestTime,
        key,
        value: encoded.value,
      };
      this.staged.turns.push(record.turn);
      this.staged.records.push(out);
      this.onRecord?.(record);
    } catch (error) {
      this.#poison.handle(this.node, record, error, batch);
    }
  }
}

function isBytes(value: unknown): value is Uint8Array | null {
  return value === null || value instanceof Uint8Array;
}

/** The bytes of a key: those of the input record where it is the same key. */
function keyBytes(key: string, record: AnyRecord, batch: MicroBatch): Uint8Array {
  const bytes = key === record.key ? batch.keyBytes[record.turn] : null;
  return bytes ?? Buffer.from(key, 'utf8');
}
