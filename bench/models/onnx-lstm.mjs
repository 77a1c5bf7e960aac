// Writes an ONNX model by hand (protocol buffers): x [T, B, F] → LSTM → dense → y [B, outputs]. Gates come in our order
// i, f, g, o and are put into ONNX's i, o, f, c.

/** @returns the bytes of the model */
export function onnxLstm({ steps, features, width, outputs }, tensors) {
  return modelOf([
    bytes(1, node('LSTM', ['x', 'W', 'R', 'B'], ['', 'h'], [intAttribute('hidden_size', width)])),
    ...headAndWeights({ features, width, outputs }, tensors),
    bytes(11, valueInfo('x', [steps, 'batch', features])),
    bytes(12, valueInfo('y', ['batch', outputs])),
  ]);
}

/** One step with the state from outside: x [1, B, F], h0 and c0 [1, B, H] → y, h, c. @returns the bytes of the model */
export function onnxStep({ features, width, outputs }, tensors) {
  const state = [1, 'batch', width];
  return modelOf([
    bytes(1, node('LSTM', ['x', 'W', 'R', 'B', '', 'h0', 'c0'], ['', 'h', 'c'], [intAttribute('hidden_size', width)])),
    ...headAndWeights({ features, width, outputs }, tensors),
    bytes(11, valueInfo('x', [1, 'batch', features])),
    bytes(11, valueInfo('h0', state)),
    bytes(11, valueInfo('c0', state)),
    bytes(12, valueInfo('y', ['batch', outputs])),
    bytes(12, valueInfo('h', state)),
    bytes(12, valueInfo('c', state)),
  ]);
}

function headAndWeights({ features, width, outputs }, { kernel, recurrent, bias, headKernel, headBias }) {
  const order = [0, 3, 1, 2];
  const gates = (matrix, inputs) => {
    // [inputs, 4 · width] → [1, 4 · width, inputs]
    const out = new Float32Array(4 * width * inputs);
    for (let g = 0; g < 4; g++)
      for (let u = 0; u < width; u++)
        for (let i = 0; i < inputs; i++)
          out[(g * width + u) * inputs + i] = matrix[i * 4 * width + order[g] * width + u];
    return out;
  };
  return [
    bytes(1, node('Squeeze', ['h', 'axes'], ['last'], [])),
    bytes(1, node('Gemm', ['last', 'K', 'b'], ['y'], [])),
    bytes(2, text('lstm')),
    bytes(5, tensor('W', [1, 4 * width, features], gates(kernel, features))),
    bytes(5, tensor('R', [1, 4 * width, width], gates(recurrent, width))),
    bytes(5, tensor('B', [1, 8 * width], Float32Array.from([...gates(bias, 1), ...new Float32Array(4 * width)]))),
    bytes(5, tensor('K', [width, outputs], headKernel)),
    bytes(5, tensor('b', [outputs], headBias)),
    bytes(5, int64Tensor('axes', [1], [0])),
  ];
}

const modelOf = (graph) =>
  message([varint(1, 8), bytes(7, message(graph)), bytes(8, message([bytes(1, text('')), varint(2, 17)]))]);

const message = (parts) => Buffer.concat(parts);
const text = (value) => Buffer.from(value, 'utf8');

function number(value) {
  const out = [];
  let rest = BigInt(value);
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    out.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Buffer.from(out);
}
const varint = (field, value) => Buffer.concat([number(field << 3), number(value)]);
const bytes = (field, value) => Buffer.concat([number((field << 3) | 2), number(value.length), value]);

function node(type, inputs, outputs, attributes) {
  return message([
    ...inputs.map((name) => bytes(1, text(name))),
    ...outputs.map((name) => bytes(2, text(name))),
    bytes(4, text(type)),
    ...attributes.map((attribute) => bytes(5, attribute)),
  ]);
}

function intAttribute(name, value) {
  return message([bytes(1, text(name)), varint(3, value), varint(20, 2)]);
}

function tensor(name, dims, data) {
  const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return message([...dims.map((n) => varint(1, n)), varint(2, 1), bytes(8, text(name)), bytes(9, raw)]);
}

function int64Tensor(name, dims, values) {
  const raw = Buffer.from(BigInt64Array.from(values, BigInt).buffer);
  return message([...dims.map((n) => varint(1, n)), varint(2, 7), bytes(8, text(name)), bytes(9, raw)]);
}

function valueInfo(name, dims) {
  const shape = message(dims.map((n) => bytes(1, typeof n === 'string' ? bytes(2, text(n)) : varint(1, n))));
  const type = message([bytes(1, message([varint(1, 1), bytes(2, shape)]))]);
  return message([bytes(1, text(name)), bytes(2, type)]);
}
