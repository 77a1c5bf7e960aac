// A learner on an embedded log, for tests that kill it. Arguments: PATH MEMBER CONFIGURATION.
// Lines on stdout: `event KIND` for each event that it sees, `stage STAGE`.
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { ModelRegistry } from '../../dist/pipelines/model-registry.js';
import { pipelineConfig } from '../../dist/pipelines/pipeline-config.js';
import { Learner } from '../../dist/retraining/learner.js';

const [path, memberId, configuration] = process.argv.slice(2);
const config = pipelineConfig(JSON.parse(configuration));
const say = (line) => process.stdout.write(`${line}\n`);
const log = await openEmbeddedLog({ path });
const learner = new Learner({
  log,
  topics: config.topics,
  registry: new ModelRegistry({ log, topic: config.topics.models }),
  windows: config,
  name: 'default',
  triggers: { firstAfter: 100, every: 0 },
  request: { flushPatienceMs: 0, settings: { width: 8, maxSteps: 400, seed: 1 } },
  now: Date.now,
  memberId,
  pollMs: 20,
  sessionMs: 1500,
  onStage: (stage) => say(`stage ${stage}`),
  onEvent: (event) => say(event.kind === 'error' ? `error ${event.message}` : `event ${event.event.kind}`),
});
await learner.start();
say('ready');
