import { type InputLayout, writeInputRow } from '../models/inputs/row.ts';
import type { SeriesWindow } from './items.ts';
import type { Position } from './operator.ts';
import type { Scale } from './window-ring.ts';

/** Numbers that devices have once and for all: by device, then by name. */
export type Statics = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** NaN where the device has none. */
export function staticOf(statics: Statics, device: string, name: string): number {
  return Object.hasOwn(statics, device) && Object.hasOwn(statics[device]!, name) ? statics[device]![name]! : Number.NaN;
}

interface Item {
  readonly position: Position;
  readonly window: SeriesWindow;
}

/**
 * The windows of a micro-batch by device and origin, for models that see several quantities. Quantities belong together
 * where the same input record has closed their buckets of the same time: a device's buckets close together, and how the
 * batch was cut changes nothing. A quantity that had no bucket there is masked.
 */
export class InputRows {
  readonly #windows = new Map<string, Map<string, SeriesWindow>>();
  readonly #statics: Statics;

  /** @param items those whose windows a model may see */
  constructor(items: readonly Item[], statics: Statics) {
    this.#statics = statics;
    for (const item of items) {
      const place = placeOf(item);
      const found = this.#windows.get(place);
      if (found === undefined) this.#windows.set(place, new Map([[item.window.quantity, item.window]]));
      else found.set(item.window.quantity, item.window);
    }
  }

  /** @param scaleOf what a window of the device is standardised with */
  write(
    layout: InputLayout,
    item: Item,
    scaleOf: (window: SeriesWindow) => Scale,
    out: Float32Array,
    at: number,
  ): void {
    const { window, position } = item;
    const { quantities, statics } = layout.inputs;
    const beside = this.#windows.get(placeOf(item));
    const row = {
      origin: window.origin,
      interval: window.interval,
      target: quantities.indexOf(window.quantity),
      other: (quantity: number) => {
        const other = beside?.get(quantities[quantity]!);
        return other && { values: other.values, from: 0, ...pick(scaleOf(other)) };
      },
      static: (i: number) => staticOf(this.#statics, position.key, statics[i]!.name),
    };
    writeInputRow(layout, row, out, at);
  }
}

function pick({ mean, deviation }: Scale): Scale {
  return { mean, deviation };
}

function placeOf({ position, window }: Item): string {
  return `${position.row} ${position.turn} ${window.origin}`;
}
