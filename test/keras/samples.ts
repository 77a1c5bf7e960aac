import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What Keras predicted with a model; keras_models.py writes it beside the model's files. */
export interface KerasSample {
  readonly keras: string;
  readonly shape: readonly number[];
  readonly x: readonly number[];
  readonly outputShape: readonly number[];
  readonly y: readonly number[];
  readonly summary: string;
}

/** Files that real Keras made, kept so that they stay loadable; with the sample of each. */
export const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));

export function modelFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /\.(keras|h5)$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

export function sampleOf(file: string): KerasSample {
  return JSON.parse(readFileSync(file.replace(/\.\w+$/, '.json'), 'utf8')) as KerasSample;
}

export function nameOf(file: string): string {
  return basename(file);
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}
