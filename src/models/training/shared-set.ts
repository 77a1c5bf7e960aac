import type { TrainingSet, WindowIndex } from '../trainer.ts';

/** The set on shared memory, so that threads read it without copies. What lies there already is taken as it is. */
export function sharedSet(set: TrainingSet): TrainingSet {
  const index = ({ starts, means, deviations }: WindowIndex): WindowIndex => ({
    starts: shared(starts, (buffer) => new Int32Array(buffer)),
    means: shared(means, (buffer) => new Float64Array(buffer)),
    deviations: shared(deviations, (buffer) => new Float64Array(buffer)),
  });
  return {
    shape: set.shape,
    values: shared(set.values, (buffer) => new Float64Array(buffer)),
    measured: shared(set.measured, (buffer) => new Uint8Array(buffer)),
    train: index(set.train),
    validation: index(set.validation),
  };
}

function shared<A extends Int32Array | Float64Array | Uint8Array>(array: A, make: (buffer: SharedArrayBuffer) => A): A {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const copy = make(new SharedArrayBuffer(array.byteLength));
  copy.set(array);
  return copy;
}
