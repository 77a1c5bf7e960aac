import { connectAsync } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/bridge-kit.ts';
import { encodeRecord } from '../../events/codec.ts';
import type { Alert, Forecast } from '../../events/records.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { type Broker, startBroker } from '../broker/broker.ts';
import { DEFAULT_MAPPING } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { connectPublisher } from '../mqtt/publisher.ts';
import { OutBridge } from './out-bridge.ts';
import { compileOutTopic, OUT_DEFAULTS, type OutConfig, refuseLoop } from './out-config.ts';

const ORIGIN = Date.UTC(2024, 0, 1);
const topics = { forecasts: 'forecasts', alerts: 'alerts' };
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

function forecast(device: string, first: number): Forecast {
  return {
    type: 'Forecast',
    device,
    quantity: 'temperature',
    origin: ORIGIN,
    interval: 3_600_000,
    values: [first, first + 1],
    lower: [first - 1, first],
    upper: [first + 1, first + 2],
    level: 0.9,
    model: 'seasonal-naive',
    inputOffset: 0,
    arithmetic: 1,
  };
}
const alert: Alert = {
  type: 'Alert',
  device: 'a',
  quantity: 'temperature',
  time: ORIGIN,
  actual: 99,
  expected: 20,
  lower: 19,
  upper: 21,
  step: 1,
  model: 'm',
  inputOffset: 0,
};

async function setUp(config: OutConfig) {
  const log = new MemoryLog();
  await log.ensureTopics(Object.values(topics).map((name) => ({ name, partitions: 2, cleanup: 'delete' as const })));
  const broker: Broker = await startBroker({ port: 0 });
  cleanUps.push(() => broker.close());
  const watcher = await connectAsync(broker.url, { protocolVersion: 4 }, false);
  cleanUps.push(() => watcher.endAsync(true));
  const seen: [string, string][] = [];
  watcher.on('message', (topic, payload) => seen.push([topic, payload.toString()]));
  await watcher.subscribeAsync('#', { qos: 1 });
  const start = async () => {
    const publisher = await connectPublisher({ url: broker.url });
    const bridge = new OutBridge({ log, publisher, config, topics });
    await bridge.start();
    cleanUps.push(async () => {
      await bridge.stop();
      await publisher.end(100);
    });
    await until('assigned', () => bridge.status().partitions.length === 2);
    return bridge;
  };
  const append = (record: Forecast | Alert, partition = 0) =>
    log.append([
      {
        topic: record.type === 'Forecast' ? topics.forecasts : topics.alerts,
        partition,
        timestamp: ORIGIN,
        key: null,
        value: encodeRecord(record),
      },
    ]);
  const committed = () => log.committed('fleetcast-mqtt-out');
  return { append, start, seen, committed };
}

describe('OutBridge', () => {
  it('publishes forecasts and alerts that come after its start, and Home Assistant learns of them', async () => {
    const { append, start, seen, committed } = await setUp({
      ...OUT_DEFAULTS,
      homeAssistant: { units: { temperature: '°C' } },
    });
    await append(forecast('old', 1));
    const bridge = await start();
    await until('committed', async () => (await committed()).get('forecasts/0') === 1);
    await append(forecast('a', 20));
    await append(forecast('Hall 1/b', 30), 1);
    await append(alert);
    await until(
      'published',
      () => bridge.status().forecasts === 2 && bridge.status().alerts === 1 && seen.length === 5,
    );
    const byTopic = new Map(seen);
    expect([...byTopic.keys()]).toEqual(
      expect.arrayContaining([
        'fleetcast/a/temperature/forecast',
        'fleetcast/Hall 1%2Fb/temperature/forecast',
        'fleetcast/a/temperature/alert',
      ]),
    );
    expect(JSON.parse(byTopic.get('fleetcast/a/temperature/forecast')!)).toMatchObject({
      value: 20,
      lower: 19,
      values: [20, 21],
      time: '2024-01-01T00:00:00.000Z',
    });
    const discovery = seen.filter(([topic]) => topic.startsWith('homeassistant/sensor/'));
    expect(discovery).toHaveLength(2);
    expect(JSON.parse(discovery[0]![1])).toMatchObject({
      unit_of_measurement: '°C',
      value_template: '{{ value_json.value }}',
      device: { manufacturer: 'fleetcast' },
    });
    await append(forecast('a', 21));
    await until('the next', () => bridge.status().forecasts === 3);
    expect(bridge.status().discovered).toBe(2);
  });

  it('keeps nothing for each batch that it has published', async () => {
    const { append, start, committed } = await setUp(OUT_DEFAULTS);
    const warnings: string[] = [];
    const onWarning = ({ name }: Error) => warnings.push(name);
    process.on('warning', onWarning);
    const bridge = await start();
    await until('committed', async () => (await committed()).get('forecasts/0') === 0);
    for (let i = 1; i <= 15; i++) {
      await append(forecast('a', i));
      await until('the next', async () => (await committed()).get('forecasts/0') === i);
    }
    process.off('warning', onWarning);
    expect(bridge.status().forecasts).toBe(15);
    // What Node says of eleven listeners on one signal.
    expect(warnings).toEqual([]);
  });

  it('goes on where the broker has acknowledged, with the last forecast of each series', async () => {
    const { append, start, seen, committed } = await setUp({
      forecasts: { topic: 'f/{quantity}/{device}', format: 'plain', step: 2, retain: false },
    });
    const first = await start();
    await until('committed', async () => (await committed()).size === 4);
    await first.stop();
    await append(forecast('a', 1));
    await append(forecast('a', 2));
    await append(forecast('b', 3));
    const second = await start();
    await until('published', () => seen.length === 2);
    expect(seen).toEqual([
      ['f/temperature/a', '3'],
      ['f/temperature/b', '4'],
    ]);
    expect(second.status()).toMatchObject({ forecasts: 2, superseded: 1 });
  });
});

describe('configuration', () => {
  it.each([
    '',
    'a/#',
    'a/{device}',
    '$SYS/{device}/{quantity}',
    '{device}/{quantity}/{what}',
  ])('refuses %j', (topic) => {
    expect(() => compileOutTopic(topic)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('refuses a loop', () => {
    expect(() => refuseLoop(OUT_DEFAULTS, compileMapping(DEFAULT_MAPPING))).not.toThrow();
    const all = { topic: '#', device: 'x' };
    expect(() => refuseLoop(OUT_DEFAULTS, compileMapping({ rules: [all] }))).toThrow(/come back/);
    const guarded = compileMapping({ rules: [{ topic: 'fleetcast/#', ignore: true }, all] });
    expect(() => refuseLoop(OUT_DEFAULTS, guarded)).not.toThrow();
    for (const topic of ['fleetcast/pump1/#', '+/+device/temperature/forecast', 'fleetcast/#device/alert']) {
      expect(() => refuseLoop(OUT_DEFAULTS, compileMapping({ rules: [{ topic, device: 'x' }] }))).toThrow(/come back/);
    }
    const near = ['fleetcast/+device', 'fleetcast/a/b/c', 'fleetcasts/#', 'fleetcast/a/b/forecast/+device'];
    const others = compileMapping({ rules: near.map((topic) => ({ topic, device: 'x' })) });
    expect(() => refuseLoop(OUT_DEFAULTS, others)).not.toThrow();
    const home = compileMapping({ rules: [{ topic: 'homeassistant/#rest', device: 'x' }] });
    expect(() => refuseLoop({ ...OUT_DEFAULTS, homeAssistant: {} }, home)).toThrow(/come back/);
    const preset = compileMapping({ rules: [{ preset: 'home-assistant' }] });
    expect(() => refuseLoop({ ...OUT_DEFAULTS, homeAssistant: {} }, preset)).not.toThrow();
  });
});
