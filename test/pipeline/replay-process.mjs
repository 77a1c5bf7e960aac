// A process that runs the forecasting topology over an embedded log, for tests that kill it. Arguments: PATH GROUP.
// Outputs go to the topics with the prefix `GROUP.`. It ends when all that was on `readings` at its start is through.
// Lines on stdout: `ready`, `committed PARTITION OFFSET`, `done`.
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { forecastingTopology } from '../../dist/pipelines/forecasting.js';
import { ModelRegistry } from '../../dist/pipelines/model-registry.js';
import { pipelineConfig } from '../../dist/pipelines/pipeline-config.js';
import { Engine } from '../../dist/topology/engine.js';

const [path, group, configuration, killAt] = process.argv.slice(2);
const config = pipelineConfig(JSON.parse(configuration));
const say = (line) => process.stdout.write(`${line}\n`);
const log = await openEmbeddedLog({ path });
const registry = new ModelRegistry({ log, topic: config.topics.models });
const { partitions } = await log.topic(config.topics.readings);
const until = new Map();
for (let partition = 0; partition < partitions; partition++) {
  const { end } = await log.offsets(config.topics.readings, partition);
  until.set(`${config.topics.readings}/${partition}`, end);
}
const engine = new Engine({
  log,
  topology: forecastingTopology(config, registry),
  group,
  until,
  outputTopic: (topic) => `${group}.${topic}`,
  // Small batches and a short sweep: many commits to be killed between.
  batch: { maxRecords: 40, commitRecords: 40 },
  sweepLength: 200,
  sessionMs: 1500,
  backoffMs: [20, 200],
});
await engine.start();
say('ready');
const seen = new Map();
let commits = 0;
const timer = setInterval(() => {
  for (const { task, inputs } of engine.status()) {
    const offset = inputs[0]?.offset ?? 0;
    if (seen.get(task) === offset) continue;
    seen.set(task, offset);
    // Killed from within: a parent that is slow to hear of it would come too late.
    commits += 1;
    if (commits > Number(killAt)) process.kill(process.pid, 'SIGKILL');
  }
}, 1);
await engine.finished();
clearInterval(timer);
await engine.stop();
await log.close();
say('done');
