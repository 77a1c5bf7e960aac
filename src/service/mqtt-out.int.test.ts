import { connectAsync } from 'mqtt';
import { describe, expect, it } from 'vitest';
import { until } from '../../test/bridge-kit.ts';
import { startBroker } from '../bridges/broker/broker.ts';
import { encodeRecord } from '../events/codec.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { outConfig, outSection } from './configuration/out-section.ts';
import { createLogger } from './logging/logger.ts';
import { startMqttOut } from './mqtt-out.ts';

describe('startMqttOut', () => {
  it('publishes as soon as there is a broker', async () => {
    const log = new MemoryLog();
    const topics = { forecasts: 'forecasts', alerts: 'alerts' };
    await log.ensureTopics(Object.values(topics).map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
    const place = await startBroker({ port: 0 });
    await place.close();
    const config = outConfig(outSection.parse({ enabled: true, homeAssistant: {} }))!;
    const out = startMqttOut({
      log,
      config,
      connection: { url: place.url, protocol: '3.1.1', connectTimeoutMs: 500 },
      clientId: 'out',
      group: 'out',
      topics,
      logger: createLogger({ level: 'silent' }),
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(out.status()).toBeUndefined();

    const broker = await startBroker({ port: place.port });
    const watcher = await connectAsync(broker.url, { protocolVersion: 4 }, false);
    const seen: string[] = [];
    watcher.on('message', (topic) => seen.push(topic));
    await watcher.subscribeAsync('#', { qos: 1 });
    await until('connected', () => out.status()?.partitions.length === 1);
    await until('begun', async () => (await log.committed('out')).size === 2);
    const value = encodeRecord({
      type: 'Forecast',
      device: 'pump',
      quantity: 't',
      origin: 0,
      interval: 1,
      values: [1],
      lower: [0],
      upper: [2],
      level: 0.9,
      model: 'last-value',
      inputOffset: 0,
      arithmetic: 1,
    });
    await log.append([{ topic: topics.forecasts, partition: 0, timestamp: 0, key: null, value }]);
    await until('published', () => seen.includes('fleetcast/pump/t/forecast'));
    expect(seen.some((topic) => topic.startsWith('homeassistant/sensor/fleetcast_pump_t_'))).toBe(true);
    await out.stop();
    await watcher.endAsync(true);
    await broker.close();
  });

  it('is off unless it is switched on', () => {
    expect(outConfig(outSection.parse(undefined))).toBeUndefined();
    expect(outConfig(outSection.parse({ enabled: true }))).toMatchObject({
      forecasts: { topic: 'fleetcast/{device}/{quantity}/forecast' },
    });
  });
});
