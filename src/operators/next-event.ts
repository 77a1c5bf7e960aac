import { softmax } from '../models/sequential/activations.ts';
import type { SequentialNetwork } from '../models/sequential/network.ts';
import type { SlabStore } from '../state/store.ts';
import type { Collector, DeferredCollector, Operator, OperatorContext, Position, StreamRecord } from './operator.ts';

/** Something that a device has reported, as a number: a state, an alarm, a command. */
export interface EventCode {
  readonly code: number;
}

/** What the device is expected to report next. */
export interface NextEvent {
  /** The most probable code. */
  readonly code: number;
  readonly probability: number;
  /** Of every code that the model tells apart. */
  readonly probabilities: readonly number[];
}

export interface NextEventConfig {
  /** A Sequential model that begins with an Embedding and gives one value for each code. */
  readonly network: SequentialNetwork;
  /** Events that it looks back on. */
  readonly steps: number;
  /** Codes: 0 … codes − 1; others are counted and dropped. */
  readonly codes: number;
  /** Whether the outputs are logits, as those of a last layer without activation are. */
  readonly logits: boolean;
}

/**
 * Keeps the last events of each device and forecasts the next one with a Sequential model, in one call for all devices of
 * a micro-batch.
 */
export class NextEventForecast implements Operator<EventCode, NextEvent> {
  readonly #config: NextEventConfig;
  #events!: SlabStore;
  #waiting: { readonly position: Position; readonly time: number; readonly window: Float32Array }[] = [];

  constructor(config: NextEventConfig) {
    this.#config = config;
  }

  init(context: OperatorContext): void {
    this.#events = context.slab('events', { ring: ['i32', this.#config.steps], seen: ['i32', 1] });
  }

  process(record: StreamRecord<EventCode>, out: Collector<NextEvent>): void {
    const { steps, codes } = this.#config;
    const { code } = record.value;
    if (!Number.isInteger(code) || code < 0 || code >= codes) {
      out.count('unknown-code');
      return;
    }
    if (!this.#events.has(record)) this.#events.create(record);
    const ring = this.#events.i32('ring').subarray(record.row * steps, (record.row + 1) * steps);
    const seen = this.#events.i32('seen');
    // The ring turns by moving: windows are short, and lie in order for the model.
    ring.copyWithin(0, 1);
    ring[steps - 1] = code;
    seen[record.row] = Math.min(steps, seen[record.row]! + 1);
    if (seen[record.row] === steps) {
      this.#waiting.push({ position: record, time: record.time, window: Float32Array.from(ring) });
    } else out.count('too-few-events');
  }

  flush(out: DeferredCollector<NextEvent>): void {
    const { network, steps, logits } = this.#config;
    const count = this.#waiting.length;
    if (count === 0) return;
    const values = new Float32Array(count * steps);
    this.#waiting.forEach(({ window }, i) => {
      values.set(window, i * steps);
    });
    const scores = network.predict(values, count, steps);
    const width = scores.length / count;
    this.#waiting.forEach(({ position, time }, i) => {
      const row = scores.subarray(i * width, (i + 1) * width);
      const probabilities = [...(logits ? softmax(row) : row)];
      let code = 0;
      for (let k = 1; k < width; k++) if (probabilities[k]! > probabilities[code]!) code = k;
      out.at(position);
      out.emit({ code, probability: probabilities[code]!, probabilities }, time);
    });
    this.#waiting = [];
  }
}
