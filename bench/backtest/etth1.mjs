// Backtest on ETTh1 with monthly retraining, as it would have happened live: naive, a model trained once, the loop; and ridge.
//   node bench/backtest/etth1.mjs [--lookback 96] [--horizon 24] [--width 32] [--steps 2000] [--trainer kernel] [--json]
// The two years are imported into the history of a memory log; the first training knows eight months. Needs a build and
// the data.
import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder } from '../accuracy/sets.mjs';

const { values: options } = parseArgs({
  options: {
    lookback: { type: 'string', default: '96' },
    horizon: { type: 'string', default: '24' },
    width: { type: 'string', default: '32' },
    steps: { type: 'string', default: '2000' },
    trainer: { type: 'string', default: 'kernel' },
    json: { type: 'boolean', default: false },
  },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { MemoryLog } = await from('log/memory/memory-log.js');
const { pipelineConfig } = await from('pipelines/pipeline-config.js');
const { topicSpecs } = await from('pipelines/topics.js');
const { backtest, backtestTable } = await from('retraining/backtest.js');
const { importHistory } = await from('retraining/history-import.js');

const HOUR = 3_600_000;
const START = Date.UTC(2016, 6, 1);
const [head, ...lines] = readFileSync(`${dataFolder()}/ett/ETTh1.csv`, 'utf8').trimEnd().split(/\r?\n/);
const names = head.split(',').slice(1);
const config = pipelineConfig({ shape: { lookback: +options.lookback, horizon: +options.horizon, season: 24 } });
const { topics } = config;
const log = new MemoryLog();
await log.ensureTopics(topicSpecs(topics, { partitions: 1 }));
const desk = { log, topics, now: () => START };
const rows = lines.flatMap((line, i) => {
  const cells = line.split(',').slice(1);
  return names.map((quantity, c) => ({
    device: 'transformer',
    quantity,
    time: START + i * HOUR,
    value: Number(cells[c]),
  }));
});
await importHistory({ ...desk, interval: HOUR, segment: config.segment }, rows);
const family = options.trainer === 'ridge' ? 'ridge' : 'segment-lstm';
const began = process.hrtime.bigint();
const result = await backtest({
  ...desk,
  windows: config,
  request: {
    family,
    trainer: options.trainer,
    settings: { width: +options.width, maxSteps: +options.steps, seed: 1 },
  },
  start: START + 240 * 24 * HOUR,
  end: START + lines.length * HOUR,
  every: 30 * 24,
  holdOut: 20 * 24,
  onPeriod: ({ from: start }) => console.error(new Date(start).toISOString().slice(0, 10)),
});
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
console.log(options.json ? JSON.stringify(result) : backtestTable(result));
if (!options.json) console.log(`${family}, ${result.periods.length} trainings, ${seconds.toFixed(0)} s`);
