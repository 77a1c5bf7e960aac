// The plain LSTM (24 steps, 4 features, 32 units) of our kernel beside ONNX Runtime's, one thread each, in rounds that
// alternate: what else the machine does meets both. Each round gives a ratio; the table has medians and ranges.
//   node bench/models/plain-lstm.mjs [--rounds 15] [--seconds 0.4] [--batches 32,64,128,256,512] [--save]
// Needs a build (`npm run build`) and ONNX Runtime:
//   ONNXRUNTIME_NODE_INSTALL=skip npm install --no-save onnxruntime-node   (or ONNXRUNTIME=/path/to/node_modules/onnxruntime-node)
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { onnxLstm, onnxStep } from './onnx-lstm.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    seconds: { type: 'string', default: '0.4' },
    batches: { type: 'string', default: '32,64,128,256,512' },
    save: { type: 'boolean', default: false },
  },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/models/${path}`).href);
const { Arena } = await from('kernel/kernel.js');
const { wasmKernel, kernelMemory } = await from('kernel/wasm.js');
const { measureNetwork } = await from('kernel/network.js');
const { lstmFactory } = await from('lstm/model.js');
const { initLstm } = await from('lstm/parameters.js');
const { packTensors, place } = await from('parameters.js');

const [steps, features, width] = [24, 4, 32];
const shape = { lookback: steps, horizon: 1, season: 1 };
const sizes = { shape, width, layers: 1, decoding: 'direct', features };
const weights = initLstm(sizes, 1);
const [kernel, recurrent, bias, headKernel, headBias] = weights.map(({ data }) => data);
const tensors = { kernel, recurrent, bias, headKernel, headBias };
const random = (count) => Float32Array.from({ length: count }, () => Math.random() - 0.5);

const ort = createRequire(import.meta.url)(process.env.ONNXRUNTIME ?? 'onnxruntime-node');
const session = (model) => ort.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const whole = await session(onnxLstm({ steps, features, width, outputs: 1 }, tensors));
const single = await session(onnxStep({ features, width, outputs: 1 }, tensors));

/** `[rows, steps, features]` as `[steps, rows, features]`, which ONNX reads. */
function stepsFirst(windows, rows) {
  const x = new Float32Array(windows.length);
  for (let r = 0; r < rows; r++)
    for (let t = 0; t < steps; t++)
      for (let f = 0; f < features; f++) x[(t * rows + r) * features + f] = windows[(r * steps + t) * features + f];
  return x;
}

/** Our forecasts of all windows, 32 at a time as the service computes them. */
function ours(windows, rows) {
  const part = Math.min(rows, 32);
  const factory = lstmFactory(sizes);
  const { floats, network: measured } = measureNetwork(factory, part, false);
  const { size } = measured.layout;
  const made = wasmKernel(kernelMemory(size + floats));
  packTensors(measured.layout, weights, made.heap.subarray(0, size));
  const net = factory(part, { kernel: made, arena: new Arena(size), weights: 0, training: false });
  net.prepare();
  const out = new Float32Array(rows);
  const length = part * steps * features;
  return () => {
    for (let at = 0; at < rows; at += part) {
      made.heap.set(windows.subarray(at * steps * features, at * steps * features + length), net.input);
      net.forward(part);
      for (let r = 0; r < part; r++) out[at + r] = made.heap[net.output + r];
    }
    return out;
  };
}

function theirs(windows, rows) {
  const x = stepsFirst(windows, rows);
  return async () => (await whole.run({ x: new ort.Tensor('float32', x, [steps, rows, features]) })).y.data;
}

/** Steps t = 0, 1, … of all rows with the state carried from call to call; each call gives the forecasts after its step. */
function oursCarried(windows, rows) {
  const { layout } = measureNetwork(lstmFactory(sizes), 1, false).network;
  const arena = new Arena(layout.size);
  const [x, h, c] = [features, width, width].map((count) => arena.take(rows * count));
  const [z, tanhC, y] = [4 * width, width, 1].map((count) => arena.take(rows * count));
  const k = wasmKernel(kernelMemory(arena.used));
  packTensors(layout, weights, k.heap.subarray(0, layout.size));
  const at = (name) => place(layout, name);
  const values = stepsFirst(windows, rows);
  const gates = [
    at('lstm_0/kernel'),
    at('lstm_0/recurrent'),
    at('lstm_0/bias'),
    at('output/kernel'),
    at('output/bias'),
  ];
  const [wx, wh, b, head, headB] = gates;
  let t = 0;
  return () => {
    const first = (t++ % steps) * rows * features;
    k.heap.set(values.subarray(first, first + rows * features), x);
    k.gates(rows, features, width, 4 * width, b, x, features, wx, h, width, wh, z);
    k.cell(rows, width, z, c, c, tanhC, h);
    k.fillRows(rows, 1, headB, y, 1);
    k.multiply(rows, width, 1, h, width, head, y, 1);
    return k.heap.subarray(y, y + rows);
  };
}

function theirsCarried(windows, rows) {
  const values = stepsFirst(windows, rows);
  const tensor = (data, dims) => new ort.Tensor('float32', data, dims);
  let h = tensor(new Float32Array(rows * width), [1, rows, width]);
  let c = h;
  let t = 0;
  return async () => {
    const first = (t++ % steps) * rows * features;
    const x = tensor(values.subarray(first, first + rows * features), [1, rows, features]);
    const out = await single.run({ x, h0: h, c0: c });
    [h, c] = [out.h, out.c];
    return out.y.data;
  };
}

function agree(what, mine, other, most) {
  const difference = mine.reduce((worst, value, r) => Math.max(worst, Math.abs(value - other[r])), 0);
  if (!(difference <= most)) throw new Error(`${what} differ by ${difference}`);
}

/** Calls a second of processor time. */
async function rate(call) {
  const began = process.cpuUsage();
  const until = performance.now() + Number(options.seconds) * 1000;
  let calls = 0;
  while (performance.now() < until) {
    await call();
    calls++;
  }
  const { user, system } = process.cpuUsage(began);
  return (calls / (user + system)) * 1e6;
}

const lines = [];
const text = (value) => Math.round(value).toLocaleString('en-US');
const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[values.length >> 1];
const range = (values, show) => `${show(median(values))} (${show(Math.min(...values))}–${show(Math.max(...values))})`;

/** Both in turns; forecasts a second, and our share of theirs round by round. */
async function compare(what, rows, mine, other) {
  for (let warm = 0; warm < 2; warm++) for (const call of [mine, other]) await rate(call);
  const [a, b] = [[], []];
  for (let round = 0; round < Number(options.rounds); round++) {
    a.push(rows * (await rate(mine)));
    b.push(rows * (await rate(other)));
  }
  const ratios = a.map((value, round) => value / b[round]);
  const line = [what, rows, range(a, text), range(b, text), range(ratios, (value) => value.toFixed(2))];
  lines.push(line);
  console.log(line.join('\t'));
}

for (const rows of options.batches.split(',').map(Number)) {
  const windows = random(rows * steps * features);
  const [mine, other] = [ours(windows, rows), theirs(windows, rows)];
  agree('kernel and ONNX Runtime', mine(), await other(), 1e-5);
  await compare('whole windows, both', rows, mine, other);
}
for (const rows of [32, 256]) {
  const windows = random(rows * steps * features);
  // Carried through a whole window, the state gives the forecast of that window, bit for bit.
  const carried = oursCarried(windows, rows);
  const carriedThere = theirsCarried(windows, rows);
  let [last, lastThere] = [];
  for (let t = 0; t < steps; t++) [last, lastThere] = [Float32Array.from(carried()), await carriedThere()];
  agree('window and carried state', last, ours(windows, rows)(), 0);
  agree('carried states', last, lastThere, 1e-5);
  await compare('ours: one step, state carried; theirs: whole windows', rows, carried, theirs(windows, rows));
  await compare('one step, state carried, both', rows, carried, carriedThere);
}
{
  const windows = random(256 * steps * features);
  const one = theirs(windows.subarray(0, steps * features), 1);
  const all = ours(windows, 256);
  // As many calls of one window as there are devices.
  const each = async () => {
    for (let device = 0; device < 256; device++) await one();
  };
  await compare('256 devices, ours: one call for all; theirs: a call for each', 256, all, each);
}

if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const head = ['measurement', 'batch', 'kernel, forecasts/s', 'ONNX Runtime, forecasts/s', 'ratio'];
  const table = [head, head.map(() => '---'), ...lines].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const environment = `${cpus()[0].model}, ${availableParallelism()} threads, Node ${process.version}. One thread each; ${options.rounds} rounds of ${options.seconds} s, in turns; rates are per second of processor time; median (least–most); load average ${loadavg()[0].toFixed(1)}.`;
  const file = fileURLToPath(new URL(`../results/plain-lstm-${date}.md`, import.meta.url));
  writeFileSync(file, `# The plain LSTM beside ONNX Runtime, ${date}\n\n${environment}\n\n${table}\n`);
  console.log(file);
}
