import type { DeferredCollector, Position } from '../operators/operator.ts';
import type { Counts } from './counts.ts';
import type { MicroBatch } from './micro-batch.ts';
import type { PoisonHandler } from './poison.ts';
import type { RecordBuffer } from './record-buffer.ts';

/** What an operator emits goes to the buffers of the edges behind its outputs. */
export class NodeCollector implements DeferredCollector<unknown> {
  readonly #node: string;
  readonly #counts: Counts;
  readonly #outputs: ReadonlyMap<string, readonly RecordBuffer[]>;
  readonly #main: readonly RecordBuffer[];
  readonly #all: readonly RecordBuffer[];
  readonly #marks: number[] = [];
  readonly #poison: PoisonHandler;
  #lettersMark = 0;
  /** The micro-batch that is being run. */
  batch: MicroBatch | undefined;
  #position: Position | undefined;

  /** @param outputs edges by output name; the main output has the empty name. */
  constructor(
    node: string,
    counts: Counts,
    outputs: ReadonlyMap<string, readonly RecordBuffer[]>,
    poison: PoisonHandler,
  ) {
    this.#node = node;
    this.#counts = counts;
    this.#poison = poison;
    this.#outputs = outputs;
    this.#main = outputs.get('') ?? [];
    this.#all = [...outputs.values()].flat();
  }

  at(position: Position | undefined): void {
    this.#position = position;
  }

  emit(value: unknown, time: number): void {
    this.#push(this.#main, value, time);
  }

  emitTo(output: string, value: unknown, time: number): void {
    const edges = this.#outputs.get(output);
    if (edges === undefined) this.#counts.add(this.#node, `${output}-not-connected`, 1);
    else this.#push(edges, value, time);
  }

  connected(output: string): boolean {
    return this.#outputs.has(output);
  }

  deadLetter(reason: string, message: string): void {
    const at = this.#required();
    this.#poison.letter(at.turn, reason, `${this.#node}, key ${at.key}: ${message}`, at.key, this.batch!);
  }

  count(reason: string, by = 1): void {
    this.#counts.add(this.#node, reason, by);
  }

  /** Remembers what was emitted so far, for {@link rollBack}. */
  mark(): void {
    for (let i = 0; i < this.#all.length; i++) this.#marks[i] = this.#all[i]!.count;
    this.#lettersMark = this.#poison.letters.length;
  }

  /** Takes back what was emitted since the mark. */
  rollBack(): void {
    for (let i = 0; i < this.#all.length; i++) this.#all[i]!.truncate(this.#marks[i]!);
    this.#poison.letters.length = this.#lettersMark;
  }

  #push(edges: readonly RecordBuffer[], value: unknown, time: number): void {
    const { key, row, offset, ingestTime, turn } = this.#required();
    const record = { key, row, offset, ingestTime, turn, value, time };
    for (let i = 0; i < edges.length; i++) edges[i]!.push(record);
  }

  #required(): Position {
    if (this.#position !== undefined) return this.#position;
    throw new Error(`${this.#node} emits in flush without saying at which position`);
  }
}
