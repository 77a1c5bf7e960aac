// One receiver under test, in a process of its own.
//   node receiver.mjs KIND PORT MESSAGES DIST [FOLDER]
// KIND: ceiling (mqtt.js acknowledges at once and does nothing), memory, embedded, kafka (the bridge with that log; FOLDER is Kafka's address).
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [kind, port, wanted, dist, folder] = process.argv.slice(2);
const messages = Number(wanted);
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
let started = 0;
let startedCpu;
let peak = 0;
const sampler = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
}, 50);
// Latencies in milliseconds, by the second in which they were seen.
const latencies = [];
const WARM_UP_SECONDS = 5;

function begin() {
  if (started !== 0) return;
  started = performance.now();
  startedCpu = process.cpuUsage();
}

function report(extra) {
  const seconds = (performance.now() - started) / 1000;
  const cpu = process.cpuUsage(startedCpu);
  clearInterval(sampler);
  const sort = (list) => list.sort((a, b) => a - b);
  const sorted = sort(latencies.slice(WARM_UP_SECONDS).flat());
  const at = (share, list = sorted) => list[Math.min(list.length - 1, Math.floor(list.length * share))];
  console.log(
    JSON.stringify({
      kind,
      messages,
      seconds: Number(seconds.toFixed(2)),
      rate: Math.round(messages / seconds),
      cpuSeconds: Number(((cpu.user + cpu.system) / 1e6).toFixed(2)),
      peakMB: Math.round(peak / 1e6),
      ...(sorted.length > 0
        ? {
            p50: at(0.5),
            p99: at(0.99),
            max: sorted.at(-1),
            p99BySecond: latencies.map((list) => at(0.99, sort(list))),
          }
        : {}),
      ...extra,
    }),
  );
  process.exit(0);
}

const url = `mqtt://127.0.0.1:${port}`;
if (kind === 'ceiling') {
  const mqtt = createRequire(`${dist}/x.js`)('mqtt');
  const client = mqtt.connect(url, {
    protocolVersion: 5,
    clean: false,
    clientId: 'bench-receiver',
    properties: { receiveMaximum: 4096, sessionExpiryInterval: 3600 },
  });
  let count = 0;
  client.on('message', () => {
    begin();
    if (++count === messages) setTimeout(() => report({}), 0);
  });
  client.on('connect', () => client.subscribe('fleet/#', { qos: 1 }, () => console.log('ready')));
} else {
  const { MqttBridge } = await from('bridges/mqtt/bridge.js');
  const { compileMapping } = await from('bridges/mapping/mapping.js');
  const { DEFAULT_MAPPING } = await from('bridges/mapping/config.js');
  const { decodeRecord } = await from('events/codec.js');
  let log;
  if (kind === 'memory') log = new (await from('log/memory/memory-log.js')).MemoryLog();
  else if (kind === 'embedded')
    log = await (await from('log/embedded/embedded-log.js')).openEmbeddedLog({ path: folder });
  else if (kind === 'kafka') log = await (await from('log/kafka/kafka-log.js')).openKafkaLog({ brokers: [folder] });
  await log.ensureTopics([
    { name: 'readings', partitions: 4, cleanup: 'delete' },
    { name: 'dead-letters', partitions: 1, cleanup: 'delete' },
  ]);
  const mapping = compileMapping(DEFAULT_MAPPING);
  // From the publisher's clock to the log's answer.
  const timed = process.env.BENCH_LATENCY === '1';
  const append = async (records) => {
    const offsets = await log.append(records);
    const now = Date.now();
    const second = Math.floor((performance.now() - started) / 1000);
    if (started > 0) latencies[second] ??= [];
    for (const { key, value } of records) {
      if (key !== null) latencies[second].push(now - decodeRecord(value).time);
    }
    return offsets;
  };
  const bridge = new MqttBridge({
    log: timed
      ? new Proxy(log, {
          get: (target, name) => {
            if (name === 'append') return append;
            const value = Reflect.get(target, name);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        })
      : log,
    mapping: {
      ...mapping,
      map: (topic, payload, arrival) => {
        begin();
        return mapping.map(topic, payload, arrival);
      },
    },
    connection: { url },
    clientId: 'bench-receiver',
    topics: { readings: 'readings', deadLetters: 'dead-letters' },
    now: Date.now,
  });
  await bridge.start();
  await bridge.ready();
  console.log('ready');
  const timer = setInterval(() => {
    const { acknowledged, appends } = bridge.status();
    if (acknowledged < messages) return;
    clearInterval(timer);
    report({ appends });
  }, 5);
}
