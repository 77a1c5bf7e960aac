// One receiver under test, in a process of its own.
//   node receiver.mjs KIND PORT MESSAGES DIST [FOLDER]
// KIND: ceiling (mqtt.js acknowledges at once and does nothing), memory, embedded (the bridge with that log).
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
const latencies = [];

function begin() {
  if (started !== 0) return;
  started = performance.now();
  startedCpu = process.cpuUsage();
}

function report(extra) {
  const seconds = (performance.now() - started) / 1000;
  const cpu = process.cpuUsage(startedCpu);
  clearInterval(sampler);
  const sorted = latencies.sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  console.log(
    JSON.stringify({
      kind,
      messages,
      seconds: Number(seconds.toFixed(2)),
      rate: Math.round(messages / seconds),
      cpuSeconds: Number(((cpu.user + cpu.system) / 1e6).toFixed(2)),
      peakMB: Math.round(peak / 1e6),
      ...(sorted.length > 0 ? { p50: at(0.5), p99: at(0.99) } : {}),
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
  const arrived = [];
  const timed = process.env.BENCH_LATENCY === '1';
  const bridge = new MqttBridge({
    log,
    mapping: {
      ...mapping,
      map: (topic, payload, arrival) => {
        begin();
        const mapped = mapping.map(topic, payload, arrival);
        if (timed) arrived.push(mapped.readings[0].time);
        return mapped;
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
  let seen = 0;
  const timer = setInterval(
    () => {
      const { acknowledged, appends } = bridge.status();
      if (timed && acknowledged > seen) {
        const now = Date.now();
        for (const sentAt of arrived.splice(0, acknowledged - seen)) latencies.push(now - sentAt);
      }
      seen = acknowledged;
      if (acknowledged < messages) return;
      clearInterval(timer);
      report({ appends });
    },
    timed ? 1 : 5,
  );
}
