// A learner that kills itself at a step of its work. Arguments: LOG MEMBER STEP CONFIGURATION OPTIONS. LOG is JSON, with
// `path` of an embedded log or `brokers` and `prefix` on Kafka. STEP is `before WHAT`, `during WHAT` (the commit has been
// begun and not been acknowledged) or `after WHAT` of a commit (flush, checkpoint, or the kind of a model event), `stage
// STAGE` of a training, or `never`. After `stop ` it suspends itself there instead. Lines on stdout: `event KIND` for each
// event that it sees, and `state STATE` when that changes.
import { decode, schemaOf } from '../../dist/events/codec.js';
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { ModelRegistry } from '../../dist/pipelines/model-registry.js';
import { pipelineConfig } from '../../dist/pipelines/pipeline-config.js';
import { Learner } from '../../dist/retraining/learner.js';

const [place, memberId, step, configuration, options] = process.argv.slice(2);
const config = pipelineConfig(JSON.parse(configuration));
const { topics } = config;
const say = (line) => process.stdout.write(`${line}\n`);
const where = JSON.parse(place);
const log = await (where.path === undefined ? openKafkaLog(where) : openEmbeddedLog(where));

function at(moment) {
  if (moment === step) process.kill(process.pid, 'SIGKILL');
  if (`stop ${moment}` === step) process.kill(process.pid, 'SIGSTOP');
}

function whatIsIn(records) {
  const kinds = new Set();
  for (const { topic, key, value } of records) {
    if (topic === topics.modelEvents) kinds.add(decode('ModelEvent', value).kind);
    else if (topic === topics.readings && schemaOf(value) === 'HistoryFlush') kinds.add('flush');
    else if (topic === topics.models && value !== null && Buffer.from(key).toString().startsWith('checkpoint/')) {
      kinds.add('checkpoint');
    }
  }
  return kinds;
}

const join = log.join.bind(log);
log.join = async (group) => {
  const member = await join(group);
  const openWriter = member.openWriter.bind(member);
  member.openWriter = async (partition) => {
    const writer = await openWriter(partition);
    const commit = writer.commit.bind(writer);
    writer.commit = async (records, offsets) => {
      const kinds = whatIsIn(records);
      for (const kind of kinds) at(`before ${kind}`);
      const committing = commit(records, offsets);
      // A transaction of Kafka takes longer: records have been sent, its end has not.
      if ([...kinds].some((kind) => `during ${kind}` === step)) setTimeout(() => at(step), 3);
      const done = await committing;
      for (const kind of kinds) at(`after ${kind}`);
      return done;
    };
    return writer;
  };
  return member;
};

const learner = new Learner({
  log,
  topics,
  registry: new ModelRegistry({ log, topic: topics.models }),
  windows: config,
  name: 'default',
  now: Date.now,
  memberId,
  pollMs: 20,
  sessionMs: 1000,
  ...JSON.parse(options),
  onStage: (stage) => at(`stage ${stage}`),
  onEvent: (event) => say(event.kind === 'error' ? `error ${event.message}` : `event ${event.event.kind}`),
});
await learner.start();
let state = '';
setInterval(() => {
  if (learner.status().state === state) return;
  state = learner.status().state;
  say(`state ${state}`);
}, 20);
