import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../random.ts';
import type { Kernel } from './kernel.ts';
import { createKernel } from './load.ts';
import { portableKernel } from './portable.ts';

const SIZE = 40_000;

/** Runs the same call on both kernels from the same heap and compares every bit of what the heap then holds. */
function same(
  seed: number,
  call: (kernel: Kernel) => void,
  fill: (random: Random) => number = (r) => r.normal(),
): void {
  const random = new Random(seed);
  const start = Float32Array.from({ length: SIZE }, () => fill(random));
  const [wasm, portable] = [createKernel(SIZE), portableKernel(SIZE)];
  for (const kernel of [wasm, portable]) {
    kernel.heap.set(start);
    call(kernel);
  }
  const bits = (heap: Float32Array) => Buffer.from(heap.slice(0, SIZE).buffer);
  expect(bits(wasm.heap).equals(bits(portable.heap))).toBe(true);
}

const size = (max: number) => fc.integer({ min: 1, max });

describe('kernel: WebAssembly and typed arrays give the same bits', () => {
  it('products, for all sizes and strides', () => {
    fc.assert(
      fc.property(
        size(21),
        size(21),
        size(29),
        fc.nat(3),
        fc.nat(3),
        fc.nat(),
        (rows, inner, cols, padX, padOut, seed) => {
          same(seed, (k) => k.multiply(rows, inner, cols, 8, inner + padX, 5000, 10_000, cols + padOut));
          same(seed, (k) => k.multiplyTransposed(rows, inner, cols, 8, inner + padX, 5000, cols + padOut, 10_000));
          same(seed, (k) => k.sumRows(rows, cols, 5000, cols + padOut, 10_000));
          same(seed, (k) =>
            k.gates(rows, inner, padX, cols, 4000, 8, inner + padX, 5000, 9000, padX + 1, 7000, 10_000),
          );
          same(seed, (k) => k.transpose(rows, cols, 8, 10_000));
          same(seed, (k) => k.fillRows(rows, cols, 8, 10_000, cols + padOut));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('the sums of gates, for the widths of real models and for one too wide for the panel', () => {
    for (const [rows, inputs, units, seed] of [
      [1, 4, 32, 1],
      [7, 4, 32, 2],
      [32, 24, 32, 3],
      [5, 33, 19, 4],
      [3, 200, 57, 5],
      [3, 200, 56, 6],
      [4, 5, 0, 7],
      [9, 4, 32, 8],
      [11, 3, 15, 9],
      [9, 40, 57, 10],
    ] as const) {
      const cols = Math.max(16, 4 * Math.min(units, 32));
      same(seed, (k) =>
        k.gates(rows, inputs, units, cols, 0, 1000, inputs, 8000, 2000, units, 36_000 - 57 * 128, 37_000),
      );
    }
  });

  it('long products, over the block of the packed panel', () => {
    same(1, (k) => k.multiply(9, 1300, 8, 0, 1300, 12_000, 30_000, 8));
    same(2, (k) => k.multiplyTransposed(1300, 9, 8, 0, 9, 12_000, 8, 30_000));
  });

  it('cells, forward and backward', () => {
    fc.assert(
      fc.property(size(9), size(19), fc.nat(), fc.constantFrom(1, 10, 200), (rows, units, seed, spread) => {
        const fill = (random: Random) => spread * random.normal();
        same(seed, (k) => k.cell(rows, units, 0, 2000, 3000, 4000, 5000), fill);
        same(seed, (k) => k.cell(rows, units, 0, 2000, 2000, 4000, 5000), fill);
        same(seed, (k) => k.cellGradient(rows, units, 0, 2000, 3000, 4000, 5000));
      }),
      { numRuns: 40 },
    );
  });

  it('cells as wide as those of real models, and with rests of every length', () => {
    for (const units of [32, 64, 36, 47, 71]) {
      const fill = (random: Random) => 50 * random.normal();
      same(units, (k) => k.cell(5, units, 0, 8000, 9000, 10_000, 11_000), fill);
      same(units, (k) => k.cell(5, units, 0, 8000, 8000, 10_000, 11_000));
    }
  });

  it('element by element', () => {
    fc.assert(
      fc.property(size(70), fc.nat(), (count, seed) => {
        same(seed, (k) => k.add(count, 0, 1000));
        same(seed, (k) => k.relu(count, 0));
        same(seed, (k) => k.reluGradient(count, 0, 1000));
        same(
          seed,
          (k) => k.adam(count, 0, 100, 200, 300, 0.37, 0.0123, 1.7),
          (random) => random.uniform(),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('values that are not finite do not stop it', () => {
    const fill = (random: Random) => [Number.NaN, Number.POSITIVE_INFINITY, -1e38, 1e-42, -0][random.below(5)]!;
    for (const kernel of [createKernel(SIZE), portableKernel(SIZE)]) {
      const random = new Random(4);
      for (let i = 0; i < SIZE; i++) kernel.heap[i] = fill(random);
      kernel.cell(3, 5, 0, 2000, 3000, 4000, 5000);
      kernel.multiply(3, 5, 7, 0, 5, 1000, 2000, 7);
      expect(kernel.heap.slice(5000, 5015).some(Number.isNaN)).toBe(true);
    }
  });
});

describe('kernel.wasm', () => {
  it('is what the assembly compiles to', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kernel-'));
    try {
      const script = fileURLToPath(new URL('../../../scripts/build-kernel.mjs', import.meta.url));
      const out = join(folder, 'kernel.wasm');
      expect(spawnSync(process.execPath, [script, out], { encoding: 'utf8' })).toMatchObject({ status: 0 });
      const kept = readFileSync(new URL('./wasm/kernel.wasm', import.meta.url));
      expect(readFileSync(out).equals(kept), 'run node scripts/build-kernel.mjs').toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
