import type { Tensor2D, Tensor3D, Tensor as TfTensor } from '@tensorflow/tfjs';
import type { TensorFlow } from './backend.ts';

/** What of the native backend of tfjs-node is used: operations by their names in TensorFlow. */
interface NativeBackend {
  readonly binding: Readonly<
    Record<'TF_ATTR_TYPE' | 'TF_ATTR_BOOL' | 'TF_ATTR_FLOAT' | 'TF_FLOAT' | 'TF_INT32' | 'TF_INT64', number>
  >;
  executeSingleOutput(name: string, attributes: readonly Attribute[], inputs: readonly TfTensor[]): TfTensor;
  executeMultipleOutputs(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly TfTensor[],
    outputs: number,
  ): TfTensor[];
}

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

/**
 * Lengths of sequences as 64-bit integers, which TensorFlow.js has no type for. They are made once and kept, the newest of
 * them: one cannot be saved for the gradient, and the backend writes a line to standard error whenever one is made.
 */
const KEPT_LENGTHS = 32;
const lengths = new Map<number, TfTensor>();

/** The native backend, or undefined where another one is in use. */
export function nativeBackend(tf: TensorFlow): NativeBackend | undefined {
  if (tf.getBackend() !== 'tensorflow') return undefined;
  const backend = tf.backend() as unknown as Partial<NativeBackend>;
  return backend.binding !== undefined && backend.executeMultipleOutputs !== undefined
    ? (backend as NativeBackend)
    : undefined;
}

/**
 * A whole LSTM layer in one operation of TensorFlow (`BlockLSTMV2`), with its gradient (`BlockLSTMGradV2`): tanh and
 * sigmoid, from zero state.
 * @param x `[steps, rows, features]`
 * @param kernel `[features, 4 × units]`, gates i, f, c, o; `recurrent` `[units, 4 × units]`; `bias` `[4 × units]`
 * @returns hidden states `[steps, rows, units]`
 */
export function fusedLstm(
  tf: TensorFlow,
  native: NativeBackend,
  x: Tensor3D,
  kernel: Tensor2D,
  recurrent: Tensor2D,
  bias: TfTensor,
): Tensor3D {
  const { binding } = native;
  const [steps, rows, features] = x.shape;
  const units = recurrent.shape[0];
  const type = { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
  const peephole = { name: 'use_peephole', type: binding.TF_ATTR_BOOL, value: false };
  const noClipping = { name: 'cell_clip', type: binding.TF_ATTR_FLOAT, value: 0 };
  const length = lengthOf(tf, native, steps);
  const layer = tf.customGrad((...args: unknown[]) => {
    const [input, own, hidden, offset, save] = args as [
      TfTensor,
      TfTensor,
      TfTensor,
      TfTensor,
      (all: TfTensor[]) => void,
    ];
    const state = tf.zeros([rows, units]);
    const none = tf.zeros([units]);
    const weights = tf.concat([own, hidden], 0);
    const inputs = [length, input, state, state, weights, none, none, none, offset];
    const outputs = native.executeMultipleOutputs('BlockLSTMV2', [type, noClipping, peephole], inputs, 7);
    save([input, weights, offset, ...outputs]);
    return {
      value: outputs[6]!,
      gradFunc: (dy: TfTensor, saved: TfTensor[]) => {
        const [kept, w, b, ...results] = saved as [TfTensor, TfTensor, TfTensor, ...TfTensor[]];
        const zero = tf.zeros([rows, units]);
        const bare = tf.zeros([units]);
        const forward = [length, kept, zero, zero, w, bare, bare, bare, b];
        const gradients = [...forward, ...results, tf.zeros([steps, rows, units]), dy];
        const [dx, , , dw, , , , db] = native.executeMultipleOutputs('BlockLSTMGradV2', [type, peephole], gradients, 8);
        return [
          dx!,
          tf.slice(dw!, [0, 0], [features, 4 * units]),
          tf.slice(dw!, [features, 0], [units, 4 * units]),
          db!,
        ];
      },
    };
  });
  return layer(x, kernel, recurrent, bias) as Tensor3D;
}

function lengthOf(tf: TensorFlow, native: NativeBackend, steps: number): TfTensor {
  let length = lengths.get(steps);
  if (length === undefined) {
    const { binding } = native;
    const attributes = [
      { name: 'SrcT', type: binding.TF_ATTR_TYPE, value: binding.TF_INT32 },
      { name: 'DstT', type: binding.TF_ATTR_TYPE, value: binding.TF_INT64 },
      { name: 'Truncate', type: binding.TF_ATTR_BOOL, value: false },
    ];
    length = tf.tidy(() => tf.keep(native.executeSingleOutput('Cast', attributes, [tf.scalar(steps, 'int32')])));
    const oldest = lengths.size >= KEPT_LENGTHS ? lengths.keys().next().value : undefined;
    if (oldest !== undefined) {
      lengths.get(oldest)!.dispose();
      lengths.delete(oldest);
    }
    lengths.set(steps, length);
  }
  return length;
}
