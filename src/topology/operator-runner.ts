import { FleetcastError } from '../errors.ts';
import type { DeferredCollector, Operator, OperatorContext, Position } from '../operators/operator.ts';
import { RowUndo } from '../state/row-undo.ts';
import type { TaskState } from '../state/task-state.ts';
import type { TimerQueue } from '../state/timer-queue.ts';
import type { NodeCollector } from './collector.ts';
import type { Control, MicroBatch } from './micro-batch.ts';
import type { PoisonHandler } from './poison.ts';
import { mergeBuffers, RecordBuffer } from './record-buffer.ts';
import type { OperatorNode } from './topology.ts';

/** Store name of a node's timers. */
const TIMERS = '#timers';
const NO_CONTROLS: readonly Control[] = [];

/** What a node's context tells of where it runs. */
export type Place = Pick<OperatorContext, 'task' | 'partition' | 'origins'>;

/** Runs one operator over the items of a micro-batch. */
export class OperatorRunner {
  readonly node: OperatorNode;
  readonly edges: readonly RecordBuffer[];
  readonly operator: Operator<unknown, unknown>;
  readonly #out: NodeCollector;
  readonly #state: TaskState;
  readonly #poison: PoisonHandler;
  readonly #merged: RecordBuffer;
  #timers: TimerQueue | undefined;
  readonly #hasControls: boolean;
  /** The broadcast that is being handled. */
  #current: { readonly control: Control; readonly batch: MicroBatch } | undefined;
  /** Where the node goes on after a failure: the key's state is then as if the item had never come. */
  readonly #undo: RowUndo | undefined;

  constructor(
    node: OperatorNode,
    edges: readonly RecordBuffer[],
    out: NodeCollector,
    state: TaskState,
    poison: PoisonHandler,
    place: Place,
  ) {
    this.node = node;
    this.edges = edges;
    this.#out = out;
    this.#state = state;
    this.#poison = poison;
    this.#merged = edges.length === 1 ? edges[0]! : new RecordBuffer();
    this.operator = node.factory();
    if (this.operator.timer !== undefined) this.#timers = state.addTimers(`${node.name}/${TIMERS}`);
    this.operator.init?.(this.#context(place));
    if (node.onError !== 'fail') this.#undo = new RowUndo(state.columnsOf(node.name));
    const { tick, timer, broadcast } = this.operator;
    this.#hasControls = (tick ?? timer ?? broadcast) !== undefined;
  }

  run(batch: MicroBatch): void {
    this.#out.batch = batch;
    if (this.edges.length === 1) this.#merged.sort();
    else mergeBuffers(this.edges, this.#merged);
    const controls = this.#hasControls ? batch.controls : NO_CONTROLS;
    let from = 0;
    // Records of a turn come before the control call of that turn.
    for (const control of controls) {
      from = this.#records(from, control.turn, batch);
      this.#control(control, batch);
    }
    this.#records(from, Number.POSITIVE_INFINITY, batch);
    if (this.operator.flush !== undefined) this.#flush(batch);
    for (const edge of this.edges) edge.clear();
  }

  /** Processes records from index `from` to those of turn `last`; returns the index of the next. */
  #records(from: number, last: number, batch: MicroBatch): number {
    const { items, count } = this.#merged;
    const { operator } = this;
    const out = this.#out;
    const undo = this.#undo;
    let i = from;
    while (i < count && items[i]!.turn <= last) {
      try {
        for (; i < count && items[i]!.turn <= last; i++) {
          out.at(items[i]!);
          if (undo !== undefined) {
            out.mark();
            undo.remember(items[i]!.row);
          }
          operator.process(items[i]!, out);
        }
      } catch (error) {
        this.#takeBack(undo);
        this.#poison.handle(this.node, items[i]!, error, batch);
        i++;
      }
    }
    return i;
  }

  #control(control: Control, batch: MicroBatch): void {
    const { operator } = this;
    if (control.kind === 'broadcast') {
      if (operator.broadcast === undefined) return;
      this.#current = { control, batch };
      this.#unkeyed(control, batch, (out) => operator.broadcast!(control.value, control, out));
      this.#current = undefined;
      return;
    }
    if (this.#timers !== undefined) this.#fire(this.#timers, control, control.time, batch);
    if (operator.tick !== undefined) this.#unkeyed(control, batch, (out) => operator.tick!(control.time, out));
  }

  /** Timers until `time`, in the order of deadline, then key. */
  #fire(timers: TimerQueue, control: Control, time: number, batch: MicroBatch): void {
    const { keys } = this.#state;
    const sequence = batch.sequenceOf(control.turn);
    const keep = batch.replaying ? (row: number) => this.#state.snapshotOffset(row) >= sequence : undefined;
    for (const row of timers.due(time, (r) => keys.keyOf(r) ?? '', keep)) {
      const at: Position = { ...control, key: keys.keyOf(row) ?? '', row };
      timers.clear(at);
      this.#out.at(at);
      this.#out.mark();
      this.#undo?.remember(row);
      try {
        this.operator.timer!(at, time === Number.POSITIVE_INFINITY ? control.ingestTime : time, this.#out);
      } catch (error) {
        this.#takeBack(this.#undo);
        this.#poison.handle(this.node, at, error, batch);
      }
    }
  }

  /** What the item has done before it failed. Where the node does not go on after a failure, nothing was remembered. */
  #takeBack(undo: RowUndo | undefined): void {
    if (undo === undefined) return;
    this.#out.rollBack();
    undo.undo();
  }

  /** Calls that concern no single key: a failure in them is the task's. */
  #unkeyed(at: Position, batch: MicroBatch, call: (out: DeferredCollector<unknown>) => void): void {
    this.#out.at(at);
    try {
      call(this.#out);
    } catch (error) {
      this.#poison.fail(this.node, at, error, batch);
    }
  }

  #flush(batch: MicroBatch): void {
    this.#out.at(undefined);
    try {
      this.operator.flush!(this.#out);
    } catch (error) {
      this.#poison.fail(this.node, undefined, error, batch);
    }
  }

  #context(place: Place): OperatorContext {
    const state = this.#state;
    const name = this.node.name;
    const own = this;
    return {
      node: name,
      ...place,
      keyed: (store, codec) => state.addKeyed(`${name}/${store}`, codec),
      slab: (store, layout, migrations) => state.addSlab(`${name}/${store}`, layout, migrations),
      global: (store, codec, initial) => state.addGlobal(`${name}/${store}`, codec, initial),
      get timers() {
        if (own.#timers !== undefined) return own.#timers;
        throw new FleetcastError('TOPOLOGY_INVALID', `${name} sets timers but has no method timer`);
      },
      fireTimers: () => {
        if (own.#current === undefined) throw new Error(`${name} fires its timers outside of a broadcast`);
        if (own.#timers === undefined) return;
        own.#fire(own.#timers, own.#current.control, Number.POSITIVE_INFINITY, own.#current.batch);
        own.#out.at(own.#current.control);
      },
    };
  }
}
