import { ARITHMETIC_VERSION } from '../arithmetic.ts';
import { Arena } from '../kernel/kernel.ts';
import { measureNetwork, networkForecaster } from '../kernel/network.ts';
import { kernelMemory, wasmKernel } from '../kernel/wasm.ts';
import type { Trainer, TrainingSet, TrainSettings } from '../trainer.ts';
import { ChunkPool } from './chunk-pool.ts';
import { type ChunkShare, CONTROL, MOST_CHUNKS, threadFloats } from './chunks.ts';
import { checkFamily, initialWeights, networkFactory } from './families.ts';
import { checkSet, type GradientSource, runTraining } from './loop.ts';
import { sharedSet } from './shared-set.ts';
import { defaultThreads } from './threads.ts';

/** A batch makes about so many chunks: enough for the threads of a large machine, few enough to be cheap to add up. */
const CHUNKS = 8;
const SERVING_ROWS = 32;

/**
 * The trainer of the LSTM families on our own kernel: forward and backward pass in WebAssembly, data-parallel over
 * threads. The same set, seed and settings give the same weights bit for bit, on any machine and with any number of
 * threads.
 * @param threads in all; by default as many as the hooks say, or as the machine has processors, at most 8
 */
export function kernelTrainer(threads?: number): Trainer {
  return {
    name: 'kernel',
    async train(set, settings, hooks, initial) {
      checkSet(set);
      checkFamily(settings);
      const source = kernelSource(set, settings, threads ?? hooks?.threads ?? defaultThreads());
      try {
        const weights = initial ?? initialWeights(set.shape, settings);
        const trainer = `kernel, arithmetic ${ARITHMETIC_VERSION}`;
        return await runTraining(source, set, settings, { weights, warm: initial !== undefined }, trainer, hooks);
      } finally {
        await source.close();
      }
    },
  };
}

function kernelSource(set: TrainingSet, settings: TrainSettings, wantedThreads: number): GradientSource {
  const chunkRows = Math.max(4, Math.ceil(settings.batch / CHUNKS / 4) * 4, Math.ceil(settings.batch / MOST_CHUNKS));
  const mostChunks = Math.ceil(settings.batch / chunkRows);
  const threads = Math.max(1, Math.min(wantedThreads, mostChunks));
  const factory = networkFactory(set.shape, settings);
  const { network: shape, floats: servingFloats } = measureNetwork(factory, SERVING_ROWS, false);
  const { layout, gradientSize } = shape;
  const arena = new Arena();
  const [weights, first, second] = [arena.take(layout.size), arena.take(layout.size), arena.take(layout.size)];
  // The gradient of chunk 0 becomes the gradient of the batch.
  const gradients = arena.take(mostChunks * gradientSize);
  const serving = arena.take(servingFloats);
  const perThread = threadFloats(factory, chunkRows);
  const places = {
    weights,
    gradients,
    gradientSize,
    threads: Array.from({ length: threads }, () => arena.take(perThread)),
  };
  const share: ChunkShare = {
    memory: kernelMemory(arena.used, threads),
    threads,
    set: sharedSet(set),
    settings,
    chunkRows,
    places,
    control: new Int32Array(new SharedArrayBuffer(64)),
    batch: new Int32Array(new SharedArrayBuffer(4 * settings.batch)),
    losses: new Float64Array(new SharedArrayBuffer(8 * mostChunks)),
  };
  const pool = new ChunkPool(share, threads);
  // Scratch of thread 0: this thread is never inside two kernels at a time.
  const kernel = wasmKernel(share.memory, 0, threads);
  const { heap } = kernel;
  const served = factory(SERVING_ROWS, { kernel, arena: new Arena(serving), weights, training: false });
  const finisher = factory(chunkRows, { kernel, arena: new Arena(places.threads[0]), weights, training: true });
  const forecast = networkForecaster(kernel, served, set.shape);
  return {
    layout,
    weights: heap.subarray(weights, weights + layout.size),
    gradients: heap.subarray(gradients, gradients + layout.size),
    moments: [heap.subarray(first, first + layout.size), heap.subarray(second, second + layout.size)],
    compute(windows, step) {
      const { control } = share;
      const measured = measuredLabels(set, windows, finisher.teacher);
      share.batch.set(windows);
      control[CONTROL.count] = windows.length;
      control[CONTROL.measured] = Math.max(1, measured);
      control[CONTROL.step] = step;
      const chunks = Math.ceil(windows.length / chunkRows);
      pool.run(chunks);
      let loss = share.losses[0]!;
      for (let chunk = 1; chunk < chunks; chunk++) {
        kernel.add(gradientSize, gradients + chunk * gradientSize, gradients);
        loss += share.losses[chunk]!;
      }
      finisher.prepare();
      finisher.finishGradients(gradients);
      return loss / Math.max(1, measured);
    },
    update(scale, rate, correction) {
      kernel.adam(layout.size, weights, gradients, first, second, scale, rate, correction);
    },
    forecast(batch, out) {
      served.prepare();
      forecast(batch, out);
    },
    close: () => pool.close(),
  };
}

/** Labels that count in the loss of a batch. @param whole the windows' own values are labels too, all but the first */
function measuredLabels({ shape, train, measured }: TrainingSet, windows: Int32Array, whole: boolean): number {
  const first = whole ? 1 : shape.lookback;
  let count = 0;
  for (let i = 0; i < windows.length; i++) {
    const start = train.starts[windows[i]!]!;
    for (let k = first; k < shape.lookback + shape.horizon; k++) count += measured[start + k]!;
  }
  return count;
}
