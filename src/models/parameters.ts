import { FleetcastError } from '../errors.ts';
import type { Tensor } from './model.ts';

/** A tensor's place in a family's flat run of parameters. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** First float of it, a multiple of four. */
  readonly offset: number;
  readonly count: number;
}

/** All parameters of a model one after the other, each aligned to four floats. */
export interface ParameterLayout {
  readonly specs: readonly ParameterSpec[];
  /** Floats in all, padding included. */
  readonly size: number;
}

export function layoutOf(shapes: ReadonlyArray<readonly [name: string, ...shape: number[]]>): ParameterLayout {
  let size = 0;
  const specs = shapes.map(([name, ...shape]) => {
    const count = shape.reduce((product, n) => product * n, 1);
    const spec = { name, shape, offset: size, count };
    size += (count + 3) & ~3;
    return spec;
  });
  return { specs, size };
}

export function place(layout: ParameterLayout, name: string): number {
  return layout.specs.find((spec) => spec.name === name)!.offset;
}

/**
 * Call it before anything is allocated by the layout's sizes: tensors are bounded, sizes alone are not.
 * @throws MODEL_INVALID when names, order, shapes or lengths differ from the layout or a weight is not finite
 */
export function checkTensors(layout: ParameterLayout, tensors: readonly Tensor[]): void {
  if (tensors.length !== layout.specs.length) {
    throw new FleetcastError('MODEL_INVALID', `${tensors.length} tensors where ${layout.specs.length} are expected`);
  }
  layout.specs.forEach((spec, i) => {
    const tensor = tensors[i]!;
    if (tensor.name !== spec.name || tensor.shape.join() !== spec.shape.join() || tensor.data.length !== spec.count) {
      throw new FleetcastError(
        'MODEL_INVALID',
        `tensor ${tensor.name} [${tensor.shape}] with ${tensor.data.length} values, expected ${spec.name} [${spec.shape}]`,
      );
    }
    if (!tensor.data.every(Number.isFinite)) {
      throw new FleetcastError('MODEL_INVALID', `tensor ${spec.name} holds a value that is not finite`);
    }
  });
}

/** Copies tensors into a flat run of `layout.size` floats. @throws MODEL_INVALID, see {@link checkTensors} */
export function packTensors(layout: ParameterLayout, tensors: readonly Tensor[], out: Float32Array): void {
  checkTensors(layout, tensors);
  out.fill(0, 0, layout.size);
  layout.specs.forEach((spec, i) => {
    out.set(tensors[i]!.data, spec.offset);
  });
}

/** Inverse of {@link packTensors}; the tensors own their data. */
export function unpackTensors(layout: ParameterLayout, flat: Float32Array): Tensor[] {
  return layout.specs.map(({ name, shape, offset, count }) => ({
    name,
    shape,
    data: flat.slice(offset, offset + count),
  }));
}
