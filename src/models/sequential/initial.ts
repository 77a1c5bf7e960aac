import type { Tensor } from '../model.ts';
import { Random } from '../random.ts';
import type { Initial, PlannedLayer } from './plan.ts';

/** Initial weights with Keras's default distributions, drawn from the seed: the same on every machine. */
export function initialWeights(plan: readonly PlannedLayer[], seed: number): Tensor[] {
  const random = new Random(seed, 5);
  return plan
    .flatMap(({ weights }) => weights)
    .map(({ name, shape, initial }) => ({ name, shape, data: draw(initial, shape, random) }));
}

function draw(initial: Initial, shape: readonly number[], random: Random): Float32Array {
  const count = shape.reduce((product, n) => product * n, 1);
  const uniform = (bound: number) => Float32Array.from({ length: count }, () => bound * (2 * random.uniform() - 1));
  switch (initial) {
    case 'glorot_uniform': {
      // The steps that a convolution reaches over count as inputs and outputs of their own.
      const field = shape.slice(0, -2).reduce((product, n) => product * n, 1);
      return uniform(Math.sqrt(6 / (field * (shape.at(-2)! + shape.at(-1)!))));
    }
    case 'uniform':
      return uniform(0.05);
    case 'orthogonal':
      return orthogonal(shape[0]!, shape[1]!, random);
    case 'ones':
      return new Float32Array(count).fill(1);
    case 'zeros':
      return new Float32Array(count);
    case 'unit_forget_bias':
      // Gates i, f, c, o.
      return new Float32Array(count).fill(1, count / 4, count / 2);
  }
}

/** Rows of a random matrix, each made orthogonal to those before it and scaled to length one (columns ≥ rows). */
function orthogonal(rows: number, columns: number, random: Random): Float32Array {
  const out = new Float32Array(rows * columns);
  const done: Float64Array[] = [];
  for (let r = 0; r < rows; r++) {
    const row = Float64Array.from({ length: columns }, () => random.normal());
    // Twice, because rounding leaves a rest the first time.
    for (let pass = 0; pass < 2; pass++) {
      for (const other of done) {
        let dot = 0;
        for (let i = 0; i < columns; i++) dot += row[i]! * other[i]!;
        for (let i = 0; i < columns; i++) row[i] = row[i]! - dot * other[i]!;
      }
    }
    let square = 0;
    for (const x of row) square += x * x;
    const length = Math.sqrt(square);
    for (let i = 0; i < columns; i++) row[i] = row[i]! / length;
    done.push(row);
    out.set(row, r * columns);
  }
  return out;
}
