import type { Arena, Kernel } from '../kernel/kernel.ts';

/** Rows of a batch on the heap, row after row: `[rows, …shape]`. */
export interface Place {
  readonly at: number;
  readonly shape: readonly number[];
}

/** What a step may use. `masks` holds 1 for a step that counts, `[rows, steps]`, or nothing where all do. */
export interface StepContext {
  readonly kernel: Kernel;
  readonly arena: Arena;
  readonly rows: number;
  /** Heap place of a weight, by its name. */
  weight(name: string): number;
}

/** One layer, ready to run: from the place of its input to `output`. */
export interface Step {
  readonly output: Place;
  /** @returns the mask for the layers after it */
  run(rows: number, mask: Uint8Array | undefined): Uint8Array | undefined;
}
