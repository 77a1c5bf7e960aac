import { messageOf } from '../errors.ts';
import type { LogRecord } from '../log/event-log.ts';
import type { Position } from '../operators/operator.ts';
import type { TaskState } from '../state/task-state.ts';
import { keyText } from './bytes.ts';
import type { Counts } from './counts.ts';
import { InputOrigins } from './origins/input-origins.ts';
import { RecordBuffer } from './record-buffer.ts';
import type { SourceItem, SourceNode } from './topology.ts';

/** A tick or a broadcast at its place among the records. */
export type Control = Position &
  ({ readonly kind: 'tick'; readonly time: number } | { readonly kind: 'broadcast'; readonly value: unknown });

/** An input record that could not go on, with its place in the batch. */
export interface Reject {
  readonly turn: number;
  readonly reason: string;
  readonly message: string;
  readonly key: string;
}

/** The input of one run through the nodes. A task has one, and fills it again for each micro-batch. */
export class MicroBatch {
  readonly controls: Control[] = [];
  readonly rejects: Reject[] = [];
  /** By source. */
  readonly buffers: readonly RecordBuffer[];
  /** Input records by turn. */
  readonly inputs: LogRecord[] = [];
  /** By turn: the key of the items as it stands on the log; null where their key is not the input record's. */
  readonly keyBytes: (Uint8Array | null)[] = [];
  /** Rows that a table's topic has changed: their snapshots cannot wait for the sweep. */
  readonly tableRows = new Set<number>();
  /** Source and place in the input sequence by turn; empty where there is but one source. */
  readonly #sourceOf: number[] = [];
  readonly #sequences: number[] = [];
  /** Keys whose restored state contains a record already skip it. Set while a task replays. */
  replaying = false;
  readonly #sources: readonly SourceNode[];
  readonly origins: InputOrigins;
  readonly #state: TaskState;
  readonly #counts: Counts;

  constructor(sources: readonly SourceNode[], state: TaskState, counts: Counts) {
    this.#sources = sources;
    this.#state = state;
    this.#counts = counts;
    this.buffers = sources.map(() => new RecordBuffer());
    this.origins = new InputOrigins(sources, state);
  }

  /** Input records taken so far. */
  get size(): number {
    return this.inputs.length;
  }

  /** Source of the input record of a turn. */
  sourceOf(turn: number): SourceNode {
    return this.#sources[this.#sourceOf[turn] ?? 0]!;
  }

  clear(): void {
    this.controls.length = 0;
    this.rejects.length = 0;
    this.inputs.length = 0;
    this.keyBytes.length = 0;
    this.#sourceOf.length = 0;
    this.#sequences.length = 0;
    this.tableRows.clear();
    this.origins.clear();
    for (const buffer of this.buffers) buffer.clear();
  }

  /** Decodes a log record; undefined where that fails, which is counted and rejected by `add`. */
  decode(source: number, record: LogRecord): SourceItem<unknown> | Error {
    try {
      return this.#sources[source]!.codec.decode(record);
    } catch (error) {
      return error instanceof Error ? error : new Error(messageOf(error));
    }
  }

  /** Place of a turn's input record in the task's input sequence: its offset, where there is but one source. */
  sequenceOf(turn: number): number {
    return this.#sequences[turn] ?? this.inputs[turn]!.offset;
  }

  /** Takes the next input record, decoded. */
  add(source: number, record: LogRecord, item: SourceItem<unknown> | Error, sequence = record.offset): void {
    const turn = this.inputs.length;
    this.inputs.push(record);
    this.keyBytes.push(null);
    if (this.#sources.length > 1) {
      this.#sourceOf.push(source);
      this.#sequences.push(sequence);
    }
    if (this.origins.kept) this.origins.push(item);
    if (item instanceof Error) {
      this.#reject(source, turn, 'undecodable', item.message, keyText(record.key));
      return;
    }
    // No clock says NaN or infinity: it would stop the time of its key for good.
    if ((item.kind === 'record' || item.kind === 'tick') && !Number.isFinite(item.time)) {
      this.#reject(source, turn, 'undecodable', `its event time is ${item.time}`, keyText(record.key));
      return;
    }
    const { offset, timestamp: ingestTime } = record;
    switch (item.kind) {
      case 'record': {
        const key = item.key ?? keyText(record.key);
        if (item.key === undefined) this.keyBytes[turn] = record.key;
        let row = -1;
        if (!this.#state.keyless) {
          if (key === '') {
            this.#reject(source, turn, 'no-key', 'state belongs to a key, and the record has none', key);
            return;
          }
          row = this.#state.keys.rowOf(key);
          if (this.replaying && this.#state.snapshotOffset(row) >= sequence) return;
          if (this.#sources[source]!.table === true) this.tableRows.add(row);
          if (this.#state.writtenEmpty.size > 0) this.#state.writtenEmpty.delete(row);
        }
        this.buffers[source]!.push({ key, row, offset, ingestTime, turn, value: item.value, time: item.time });
        return;
      }
      case 'tick': {
        const time = this.origins.tick(source, turn, item);
        if (time !== undefined) {
          this.controls.push({ kind: 'tick', time, key: '', row: -1, offset, ingestTime, turn });
        }
        return;
      }
      case 'broadcast':
        this.controls.push({ kind: 'broadcast', value: item.value, key: '', row: -1, offset, ingestTime, turn });
        return;
      case 'skip':
        this.#counts.add(this.#sources[source]!.name, item.reason, 1);
    }
  }

  #reject(source: number, turn: number, reason: string, message: string, key: string): void {
    this.#counts.add(this.#sources[source]!.name, reason, 1);
    this.rejects.push({ turn, reason, message, key });
  }
}
