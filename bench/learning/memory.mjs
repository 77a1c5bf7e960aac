// Memory of a training by the size of the history: peak resident set of a process that does nothing but read the history
// from an embedded log, train the default model on it in the training's thread, and judge it. The history is written by a
// process of its own before.
//   node bench/learning/memory.mjs [--buckets 10000,100000,1000000,10000000] [--threads 1,2] [--series 5000]
//     [--steps 300] [--most N] [--note]
// --series: buckets of a series. --most: bound on the buckets of a training (`learner.mostBuckets`), 0 for none; the
// product's default where it is left out.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    buckets: { type: 'string', default: '10000,100000,1000000,10000000' },
    threads: { type: 'string', default: '1,2' },
    series: { type: 'string', default: '5000' },
    steps: { type: 'string', default: '300' },
    most: { type: 'string', default: '' },
    note: { type: 'boolean', default: false },
    part: { type: 'string', default: '' },
    folder: { type: 'string', default: '' },
  },
});
const HOUR = 3_600_000;
const T0 = Math.floor(Date.UTC(2020, 0, 1) / (256 * HOUR)) * 256 * HOUR;
const SEGMENT = 256;

async function opened() {
  const { openEmbeddedLog } = await import('../../dist/log/embedded/embedded-log.js');
  const { pipelineConfig } = await import('../../dist/pipelines/pipeline-config.js');
  const { topicSpecs } = await import('../../dist/pipelines/topics.js');
  const config = pipelineConfig({ shape: { lookback: 96, horizon: 24, season: 24 } });
  const log = await openEmbeddedLog({ path: options.folder });
  await log.ensureTopics(topicSpecs(config.topics, { partitions: 1 }));
  return { config, log };
}

async function fill() {
  const { config, log } = await opened();
  const { encodeRecord } = await import('../../dist/events/codec.js');
  const { historyKey } = await import('../../dist/events/records.js');
  const buckets = Number(options.buckets);
  const long = Math.min(buckets, Number(options.series));
  const batch = [];
  let noise = 1;
  for (let d = 0; d * long < buckets; d++) {
    for (let at = 0; at < long; at += SEGMENT) {
      const values = Array.from({ length: SEGMENT }, (_, i) => {
        if (at + i >= long) return Number.NaN;
        noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
        return 10 * Math.sin(((at + i + d) / 24) * 2 * Math.PI) + noise / 2 ** 32;
      });
      const start = T0 + at * HOUR;
      const counts = values.map((value) => (Number.isNaN(value) ? 0 : 60));
      const segment = { device: `d${d}`, quantity: 'level', start, interval: HOUR, values, counts };
      const value = encodeRecord({ type: 'HistorySegment', ...segment, revision: 0, complete: true });
      const key = Buffer.from(historyKey(`d${d}`, 'level', start));
      batch.push({ topic: config.topics.history, partition: 0, timestamp: T0, key, value });
      if (batch.length === 500) await log.append(batch.splice(0));
    }
  }
  await log.append(batch);
  await log.close();
}

async function train() {
  const { config, log } = await opened();
  const { trainOnHistory } = await import('../../dist/retraining/train.js');
  const idle = peak();
  const began = performance.now();
  const { historyBound, MOST_BUCKETS } = await import('../../dist/retraining/history-bound.js');
  const most = options.most === '' ? MOST_BUCKETS : Number(options.most) || Number.POSITIVE_INFINITY;
  const trained = await trainOnHistory({
    ...{ log, topics: config.topics, now: Date.now, windows: config, bound: historyBound(most, config) },
    settings: { maxSteps: Number(options.steps) },
    threads: Number(options.threads),
  });
  const seconds = (performance.now() - began) / 1000;
  const { windows } = trained.artefact.training;
  console.log(JSON.stringify({ idle, peak: peak(), seconds, windows }));
  process.exit(0);
}

/** Most memory that was resident, MiB. */
const peak = () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;

function part(name, folder, more) {
  const file = fileURLToPath(import.meta.url);
  const common = ['--part', name, '--folder', folder, '--series', options.series, '--steps', options.steps];
  const { stdout, stderr, status } = spawnSync(process.execPath, [file, ...common, ...more], { encoding: 'utf8' });
  return status === 0 ? stdout : { failed: stderr.trim().split('\n').pop() };
}

if (options.part === 'fill') await fill();
else if (options.part === 'train') await train();
else {
  const lines = [];
  for (const buckets of options.buckets.split(',')) {
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-memory-'));
    try {
      part('fill', folder, ['--buckets', buckets]);
      for (const threads of options.threads.split(',')) {
        const most = options.most === '' ? [] : ['--most', options.most];
        const out = part('train', folder, ['--threads', threads, ...most]);
        const cells = typeof out === 'string' ? JSON.parse(out) : undefined;
        const shown = cells && [
          cells.windows.toLocaleString('en-US'),
          ...[cells.idle, cells.peak, cells.seconds].map((n) => n.toFixed(0)),
        ];
        const line = [Number(buckets).toLocaleString('en-US'), threads, ...(shown ?? [out.failed, '', '', ''])];
        lines.push(line);
        console.log(line.join('\t'));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  if (options.note) {
    const date = new Date().toISOString().slice(0, 10);
    const head = ['buckets', 'threads', 'training windows', 'MiB before', 'peak MiB', 'seconds'];
    const table = [head, head.map(() => '---'), ...lines].map((row) => `| ${row.join(' | ')} |`).join('\n');
    const bound =
      options.most === ''
        ? 'the default bound'
        : options.most === '0'
          ? 'no bound'
          : `a bound of ${options.most} buckets`;
    const about = `${cpus()[0].model}, ${availableParallelism()} threads, Node ${process.version}; load average ${loadavg()[0].toFixed(1)}. Series of ${options.series} buckets, ${options.steps} steps, ${bound}. Peak resident set (VmHWM) of the process that trains.`;
    const file = fileURLToPath(new URL(`../results/training-memory-${date}.md`, import.meta.url));
    writeFileSync(file, `# Memory of a training, ${date}\n\n${about}\n\n${table}\n`);
    console.log(file);
  }
}
