// The bridge as a process that can be killed: node bridge-process.mjs DIST embedded|kafka FOLDER|BROKERS PORT RECEIVE-MAXIMUM
// Commands on standard input: `fail` (appends fail), `half` (appends are written, then fail), `stall`, `go`.
// Prints its status as JSON, one line every 50 ms.
import { pathToFileURL } from 'node:url';

const [dist, kind, place, port, receiveMaximum] = process.argv.slice(2);
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { MqttBridge } = await from('bridges/mqtt/bridge.js');
const { compileMapping } = await from('bridges/mapping/mapping.js');
const { DEFAULT_MAPPING } = await from('bridges/mapping/config.js');
const { FleetcastError } = await from('errors.js');

// Kafka may be down when the bridge comes up.
const log = await untilItWorks(openLog);
await untilItWorks(() =>
  log.ensureTopics([
    { name: 'readings', partitions: 3, cleanup: 'delete' },
    { name: 'dead-letters', partitions: 1, cleanup: 'delete' },
  ]),
);

let mood = 'go';
let gate = Promise.resolve();
let open = () => {};
const append = async (records) => {
  await gate;
  if (mood === 'fail') throw new FleetcastError('LOG_UNAVAILABLE', 'told to fail');
  const offsets = await log.append(records);
  if (mood === 'half') throw new FleetcastError('LOG_UNAVAILABLE', 'told to fail after writing');
  return offsets;
};
let commands = '';
process.stdin.on('data', (data) => {
  commands += data;
  for (let end = commands.indexOf('\n'); end >= 0; end = commands.indexOf('\n')) {
    mood = commands.slice(0, end);
    commands = commands.slice(end + 1);
    open();
    if (mood === 'stall') {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    }
  }
});
process.stdin.on('end', () => process.exit(1));

const bridge = new MqttBridge({
  log: new Proxy(log, {
    get: (target, name) => {
      if (name === 'append') return append;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }),
  mapping: compileMapping(DEFAULT_MAPPING),
  connection: { url: `mqtt://127.0.0.1:${port}`, reconnectMs: { min: 20, max: 200 }, keepalive: 2 },
  topics: { readings: 'readings', deadLetters: 'dead-letters' },
  now: Date.now,
  tickMs: 100,
  receiveMaximum: Number(receiveMaximum),
  retryMs: { min: 5, max: 50 },
});
await untilItWorks(() => bridge.start());
setInterval(() => process.stdout.write(`${JSON.stringify(bridge.status())}\n`), 50);

async function openLog() {
  if (kind === 'embedded') return (await from('log/embedded/embedded-log.js')).openEmbeddedLog({ path: place });
  return (await from('log/kafka/kafka-log.js')).openKafkaLog({ brokers: place.split(','), retryMs: 2_000 });
}

async function untilItWorks(attempt) {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (error.code !== 'LOG_UNAVAILABLE') throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
