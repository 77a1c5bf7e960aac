// Speed of the models: inference against ONNX Runtime, training, all in one run.
//   node bench/models/run.mjs [--seconds 2] [--save]
// plain-lstm.mjs compares with ONNX Runtime in rounds that alternate, and measures carried state.
// Needs a build (`npm run build`). ONNX Runtime is measured where it can be found:
//   ONNXRUNTIME_NODE_INSTALL=skip npm install --no-save onnxruntime-node   (or ONNXRUNTIME=/path/to/node_modules/onnxruntime-node)
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder, etth1, protocolSet } from '../accuracy/sets.mjs';
import { onnxLstm } from './onnx-lstm.mjs';

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '2' }, save: { type: 'boolean', default: false } },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/models/${path}`).href);
const { Arena } = await from('kernel/kernel.js');
const { wasmKernel, kernelMemory } = await from('kernel/wasm.js');
const { measureNetwork } = await from('kernel/network.js');
const { lstmFactory } = await from('lstm/model.js');
const { initLstm } = await from('lstm/parameters.js');
const { packTensors } = await from('parameters.js');
const { segmentLstmModel } = await from('segment-lstm/model.js');
const { initSegmentLstm, segmentLstmSizes } = await from('segment-lstm/parameters.js');
const { kernelTrainer } = await from('training/kernel-trainer.js');
const { defaultSettings } = await from('training/settings.js');
const { ridgeTrainer } = await from('ridge.js');

const lines = [];
function report(what, perSecond, ratio) {
  const line = [what, Math.round(perSecond).toLocaleString('en-US'), ratio === undefined ? '' : ratio.toFixed(2)];
  lines.push(line);
  console.log(line.join('\t'));
}

/** Calls a second of processor time, the best of five rounds: the machine may do other work. */
async function rate(call) {
  for (let i = 0; i < 20; i++) await call();
  let best = 0;
  for (let round = 0; round < 5; round++) {
    const began = process.cpuUsage();
    const until = performance.now() + (Number(options.seconds) * 1000) / 5;
    let calls = 0;
    while (performance.now() < until) {
      await call();
      calls++;
    }
    const { user, system } = process.cpuUsage(began);
    best = Math.max(best, (calls / (user + system)) * 1e6);
  }
  return best;
}

const random = (count) => Float32Array.from({ length: count }, () => Math.random() - 0.5);

// The plain LSTM of the comparison: 24 steps, 4 features, 32 units, one output.
const [steps, features, width] = [24, 4, 32];
const sizes = {
  shape: { lookback: steps, horizon: 1, season: 1 },
  width,
  layers: 1,
  decoding: 'direct',
  features,
};
const weights = initLstm(sizes, 1);

function network(rows, training) {
  const factory = lstmFactory(sizes);
  const { floats, network: measured } = measureNetwork(factory, rows, training);
  const { size } = measured.layout;
  const kernel = wasmKernel(kernelMemory(4 * size + floats + 64));
  packTensors(measured.layout, weights, kernel.heap.subarray(0, size));
  const made = factory(rows, { kernel, arena: new Arena(4 * size), weights: 0, training });
  made.prepare();
  return { kernel, network: made, size };
}

async function session(threads) {
  try {
    const require = createRequire(import.meta.url);
    const ort = require(process.env.ONNXRUNTIME ?? 'onnxruntime-node');
    const [kernel, recurrent, bias, headKernel, headBias] = weights.map(({ data }) => data);
    const model = onnxLstm({ steps, features, width, outputs: 1 }, { kernel, recurrent, bias, headKernel, headBias });
    const made = await ort.InferenceSession.create(model, { intraOpNumThreads: threads, interOpNumThreads: 1 });
    return (x, rows) => made.run({ x: new ort.Tensor('float32', x, [steps, rows, features]) });
  } catch (error) {
    console.log(`ONNX Runtime is not measured: ${error.message.split('\n')[0]}`);
    return undefined;
  }
}

const onnx = await session(1);
for (const rows of [1, 32, 256, 1024]) {
  const part = Math.min(rows, 32);
  const { kernel, network: net } = network(part, false);
  const windows = random(rows * steps * features);
  const out = new Float32Array(rows);
  const ours = await rate(() => {
    for (let at = 0; at < rows; at += part) {
      kernel.heap.set(windows.subarray(at * steps * features, (at + part) * steps * features), net.input);
      net.forward(part);
      for (let r = 0; r < part; r++) out[at + r] = kernel.heap[net.output + r];
    }
  });
  let ratio;
  if (onnx) {
    const x = new Float32Array(windows.length);
    for (let r = 0; r < rows; r++)
      for (let t = 0; t < steps; t++)
        for (let f = 0; f < features; f++) x[(t * rows + r) * features + f] = windows[(r * steps + t) * features + f];
    const { y } = await onnx(x, rows);
    const difference = y.data.reduce((most, value, r) => Math.max(most, Math.abs(value - out[r])), 0);
    if (!(difference < 1e-5)) throw new Error(`kernel and ONNX Runtime differ by ${difference}`);
    const theirs = await rate(() => onnx(x, rows));
    report(`ONNX Runtime, one thread, plain LSTM, batch ${rows}, windows/s`, theirs * rows);
    ratio = ours / theirs;
  }
  report(`kernel, one thread, plain LSTM, batch ${rows}, windows/s`, ours * rows, ratio);
}

for (const [lookback, horizon, units] of [
  [96, 96, 64],
  [96, 24, 64],
  [96, 24, 32],
]) {
  const shape = { lookback, horizon, season: 24 };
  const model = segmentLstmModel(
    '',
    shape,
    { width: units },
    initSegmentLstm(segmentLstmSizes(shape, { width: units }), 1),
  );
  for (const count of [1, 256]) {
    const batch = { count, values: random(count * lookback) };
    const out = new Float32Array(count * horizon);
    const perSecond = count * (await rate(() => model.forecast(batch, out)));
    report(`segment LSTM d ${units}, L ${lookback}, H ${horizon}, one thread, batch ${count}, forecasts/s`, perSecond);
  }
}

{
  const rows = 64;
  const { kernel, network: net, size } = network(rows, true);
  const x = random(rows * steps * features);
  const labels = random(rows);
  // Places of gradients and moments: behind the weights, before the arena.
  const train = await rate(() => {
    kernel.heap.set(x, net.input);
    net.prepare();
    net.forward(rows);
    for (let r = 0; r < rows; r++) {
      kernel.heap[net.output + r] = (2 * (kernel.heap[net.output + r] - labels[r])) / rows;
    }
    kernel.heap.fill(0, size, 2 * size);
    net.backward(rows, size);
    kernel.adam(size, 0, size, 2 * size, 3 * size, 1, 1e-3, 1);
  });
  report('kernel, one thread, training the plain LSTM, batch 64, samples/s', rows * train);
}

const set = protocolSet(etth1(`${dataFolder()}/ett/ETTh1.csv`), { lookback: 96, horizon: 24, season: 24 });
const bare = protocolSet(etth1(`${dataFolder()}/ett/ETTh1.csv`), { lookback: 24, horizon: 1, season: 24 });
/** Wall-clock and processor seconds (all threads) of a training. */
async function timed(what, train, samples) {
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  await train();
  const wall = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const used = (user + system) / 1e6;
  if (samples > 0) {
    report(`${what}, samples a second of processor time`, samples / used);
    report(`${what}, samples a second of wall-clock time`, samples / wall);
  } else {
    const line = [`${what}, seconds (wall clock / processor)`, `${wall.toFixed(1)} / ${used.toFixed(1)}`, ''];
    lines.push(line);
    console.log(line.join('\t'));
  }
}

for (const threads of [1, 2]) {
  const settings = defaultSettings(bare, { family: 'lstm', width: 32, batch: 64, maxSteps: 2000, loss: 'mse' });
  await timed(
    `kernel trainer, ${threads} threads, plain LSTM T 24 F 1 H 32, batch 64`,
    () => kernelTrainer(threads).train({ ...bare, validation: none() }, settings),
    64 * 2000,
  );
}
for (const change of [{}, { width: 32 }]) {
  const settings = defaultSettings(set, change);
  const what = `training the segment LSTM on ETTh1 H24 from nothing, d ${settings.width}`;
  await timed(what, () => kernelTrainer().train(set, settings), 0);
}
await timed('ridge on ETTh1 H24', () => ridgeTrainer.train(set, defaultSettings(set)), 0);

function none() {
  return { starts: new Int32Array(), means: new Float64Array(), deviations: new Float64Array() };
}

if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const table = [['measurement', 'value', 'ratio to ONNX Runtime'], ['---', '---', '---'], ...lines];
  const head = `${cpus()[0].model}, ${availableParallelism()} threads, Node ${process.version}. Rates are per second of processor time, the best of five rounds; load average ${loadavg()[0].toFixed(0)}.`;
  const file = fileURLToPath(new URL(`../results/models-${date}.md`, import.meta.url));
  writeFileSync(
    file,
    `# Speed of the models, ${date}\n\n${head}\n\n${table.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`,
  );
  console.log(file);
}
