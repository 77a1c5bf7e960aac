import type { WindowShape } from '../../src/models/model.ts';
import type { TrainingSet, WindowIndex } from '../../src/models/trainer.ts';

/** Series as columns of equal length; windows whose labels lie in a stretch of rows belong to that part. */
export interface SplitSeries {
  readonly names: readonly string[];
  readonly series: readonly Float64Array[];
  /** 1 where a value was measured; all of them where it is left out. */
  readonly measured?: readonly Uint8Array[];
  readonly trainEnd: number;
  readonly validationEnd: number;
  readonly testEnd: number;
}

export interface SplitSet extends TrainingSet {
  readonly test: WindowIndex;
  /** Column of each test window. */
  readonly testColumns: Int32Array;
}

export function protocolSet(data: SplitSeries, shape: WindowShape): SplitSet;
export function etth1(file: string): SplitSeries;
export function weather(file: string): SplitSeries;
export function nab(file: string, intervalMs: number): SplitSeries;
export function occupancy(folder: string, intervalMs: number): SplitSeries;
export function dataFolder(): string;
