import type { TrainingSet, WindowIndex } from '../trainer.ts';

/** The set on shared memory, so that threads read it without copies. What lies there already is taken as it is. */
export function sharedSet(set: TrainingSet): TrainingSet {
  const whole = (array: Int32Array) => shared(array, (buffer) => new Int32Array(buffer));
  const real = (array: Float64Array) => shared(array, (buffer) => new Float64Array(buffer));
  const index = ({ starts, means, deviations, inputs }: WindowIndex): WindowIndex => ({
    starts: whole(starts),
    means: real(means),
    deviations: real(deviations),
    ...(inputs === undefined
      ? {}
      : {
          inputs: {
            origins: real(inputs.origins),
            targets: whole(inputs.targets),
            devices: whole(inputs.devices),
            starts: whole(inputs.starts),
            means: real(inputs.means),
            deviations: real(inputs.deviations),
          },
        }),
  });
  return {
    shape: set.shape,
    values: real(set.values),
    measured: shared(set.measured, (buffer) => new Uint8Array(buffer)),
    train: index(set.train),
    validation: index(set.validation),
    ...(set.inputs === undefined ? {} : { inputs: { ...set.inputs, statics: real(set.inputs.statics) } }),
  };
}

function shared<A extends Int32Array | Float64Array | Uint8Array>(array: A, make: (buffer: SharedArrayBuffer) => A): A {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const copy = make(new SharedArrayBuffer(array.byteLength));
  copy.set(array);
  return copy;
}
