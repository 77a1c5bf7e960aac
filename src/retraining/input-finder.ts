import { type ModelInputs, type StaticInput, writeInputs } from '../models/inputs/spec.ts';
import type { WindowInputs } from '../models/trainer.ts';
import { type Statics, staticOf } from '../operators/input-rows.ts';
import type { HistorySeries } from './history-reader.ts';

/** A window that ends before index `end` of the set's values. */
interface Ended {
  readonly end: number;
  readonly mean: number;
  readonly deviation: number;
}

interface Found {
  readonly start: number;
  readonly mean: number;
  readonly deviation: number;
}

/**
 * Finds the inputs of training windows as the stream finds them: the window of another quantity counts where it ends with
 * a bucket of the same origin and a model could forecast from it.
 */
export class InputFinder {
  /** With the scales of statics filled in. */
  readonly text: string;
  /** `[device, static]` */
  readonly statics: Float64Array;
  readonly #inputs: ModelInputs;
  /** Row of each device. */
  readonly #devices = new Map<string, number>();
  /** By quantity: windows by device and origin. */
  readonly #windows: readonly Map<string, Map<number, Found>>[];

  constructor(inputs: ModelInputs, series: readonly HistorySeries[], statics: Statics) {
    this.#windows = inputs.quantities.map(() => new Map());
    for (const { device } of series) if (!this.#devices.has(device)) this.#devices.set(device, this.#devices.size);
    const devices = [...this.#devices.keys()];
    const value = (device: string, name: string): number => staticOf(statics, device, name);
    this.#inputs = { ...inputs, statics: inputs.statics.map((one) => scaled(one, devices, value)) };
    this.text = writeInputs(this.#inputs);
    this.statics = Float64Array.from(
      devices.flatMap((device) => inputs.statics.map(({ name }) => value(device, name))),
    );
  }

  /** @param originAt the time before which index `end` of the values ends */
  learn(series: HistorySeries, windows: readonly Ended[], originAt: (end: number) => number, lookback: number): void {
    const byDevice = this.#windows[this.#inputs.quantities.indexOf(series.quantity)];
    if (byDevice === undefined) return;
    const byOrigin = byDevice.get(series.device) ?? new Map<number, Found>();
    byDevice.set(series.device, byOrigin);
    for (const { end, mean, deviation } of windows) {
      byOrigin.set(originAt(end), { start: end - lookback, mean, deviation });
    }
  }

  /** The inputs of windows with these origins, of these series. */
  find(origins: readonly number[], series: readonly HistorySeries[]): WindowInputs {
    const { quantities } = this.#inputs;
    const count = origins.length * quantities.length;
    const starts = new Int32Array(count).fill(-1);
    const [means, deviations] = [new Float64Array(count), new Float64Array(count)];
    origins.forEach((origin, i) => {
      quantities.forEach((quantity, q) => {
        const found = this.#windows[q]!.get(series[i]!.device)?.get(origin);
        if (found === undefined || quantity === series[i]!.quantity) return;
        const at = i * quantities.length + q;
        [starts[at], means[at], deviations[at]] = [found.start, found.mean, found.deviation];
      });
    });
    return {
      origins: Float64Array.from(origins),
      targets: Int32Array.from(series, ({ quantity }) => quantities.indexOf(quantity)),
      devices: Int32Array.from(series, ({ device }) => this.#devices.get(device)!),
      starts,
      means,
      deviations,
    };
  }
}

/** A static with the scale of the devices that have it; one that has a scale already keeps it. */
function scaled(
  one: StaticInput,
  devices: readonly string[],
  value: (device: string, name: string) => number,
): StaticInput {
  if (one.mean !== 0 || one.deviation !== 0) return one;
  const known = devices.map((device) => value(device, one.name)).filter((found) => Number.isFinite(found));
  if (known.length === 0) return one;
  const mean = known.reduce((sum, found) => sum + found, 0) / known.length;
  const deviation = Math.sqrt(known.reduce((sum, found) => sum + (found - mean) * (found - mean), 0) / known.length);
  return { name: one.name, mean, deviation };
}
