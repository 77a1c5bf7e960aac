import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectPublisher, type Publisher } from '../../src/bridges/mqtt/publisher.ts';
import { decodeRecord } from '../../src/events/codec.ts';
import type { Forecast } from '../../src/events/records.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { parseConfiguration } from '../../src/service/configuration/load.ts';
import { createLogger } from '../../src/service/logging/logger.ts';
import { type Service, startService } from '../../src/service/service.ts';
import type { ServiceStatus } from '../../src/service/status.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2020, 0, 6);
const CONFIGURATION = `
broker: {embedded: {port: 0}}
http: {port: 0}
topics: {partitions: 2}
mapping:
  subscribe: ["#"]
  rules:
    - {topic: fleet/+device, time: {path: time}, rest: strict}
pipeline: {lookback: 48, horizon: 12, season: 24, grace: 1m}
learner: {enabled: false}
`;

describe('from a real socket to forecasts', () => {
  let log: EventLog;
  let service: Service;
  let publisher: Publisher;
  beforeAll(async () => {
    log = new MemoryLog();
    service = await startService({
      configuration: { ...parseConfiguration(CONFIGURATION, 'test'), file: undefined, folder: '.' },
      logger: createLogger({ level: 'silent' }),
      log,
    });
    publisher = await connectPublisher({ url: service.brokerUrl, protocol: '3.1.1' });
  });
  afterAll(async () => {
    await publisher?.end();
    await service?.stop();
    await log?.close();
  });

  const json = async (path: string) => (await fetch(service.pageUrl + path)).json() as Promise<unknown>;
  const send = (topic: string, payload: string | Uint8Array) => publisher.publish(topic, payload, { qos: 1 });

  it('forecasts every closed bucket of good devices, and keeps what is bad as dead letters', async () => {
    const bad: [reason: string, topic: string, payload: string][] = [
      ['not-json', 'fleet/bad', '{"time":1600000000000,"temperature":'],
      ['missing-field', 'fleet/bad', '{"temperature":21}'],
      ['not-finite', 'fleet/bad', '{"time":1600000000000,"temperature":NaN}'],
      ['not-a-number', 'fleet/bad', '{"time":1600000000000,"temperature":"warm"}'],
      ['payload-too-large', 'fleet/bad', 'x'.repeat(1024 * 1024)],
      ['payload-too-large', 'fleet/bad', `{"time":1600000000000,"note":"${'x'.repeat(2 * 1024 * 1024)}"}`],
      ['time-out-of-range', 'fleet/bad', '{"time":0,"temperature":21}'],
      ['time-out-of-range', 'fleet/bad', `{"time":${Date.UTC(2090, 0, 1)},"temperature":21}`],
      ['future', 'fleet/bad', `{"time":${Date.now() + 2 * HOUR},"temperature":21}`],
      ['no-mapping', 'workshop/press', '{"time":1600000000000,"temperature":21}'],
    ];
    for (let hour = 0; hour < 72; hour++) {
      for (const device of ['a', 'b', 'c']) {
        const value = 20 + 5 * Math.sin((hour * Math.PI) / 12) + device.charCodeAt(0);
        await send(`fleet/${device}`, JSON.stringify({ time: START + hour * HOUR, temperature: value }));
      }
      const [, topic, payload] = bad[hour] ?? [];
      if (topic !== undefined && payload !== undefined) await send(topic, payload);
    }
    await publisher.flush();

    const forecasts = await eventually(
      () => forecastsOf(log, 'forecasts'),
      (all) => all.length >= 3 * 70,
    );
    for (const device of ['a', 'b', 'c']) {
      const origins = forecasts.filter((each) => each.device === device).map(({ origin }) => origin);
      expect(origins).toEqual([...origins].sort((x, y) => x - y));
      expect(new Set(origins).size).toBe(origins.length);
    }
    const last = forecasts.filter(({ device }) => device === 'a').at(-1)!;
    expect(last.values).toHaveLength(12);
    expect(last.model).toBe('seasonal-naive');
    expect(forecasts.some(({ device }) => device === 'bad')).toBe(false);

    const status = await eventually(
      async () => (await json('/api/status')) as ServiceStatus,
      ({ totals }) => totals.deadLetters >= bad.length,
    );
    const drops = new Map(status.drops.map((drop) => [drop.reason, drop]));
    for (const [reason] of bad) expect(drops.get(reason), reason).toMatchObject({ kept: true });
    expect(drops.get('time-out-of-range')?.count).toBe(2);
    expect(status.health).toEqual({ status: 'ok', problems: [] });
    expect(status.bridge).toMatchObject({ connected: true, received: 3 * 72 + bad.length });
    const letters = (await json('/api/dead-letters?limit=200')) as { reason: string; payload: string }[];
    expect(letters.map(({ reason }) => reason).sort()).toEqual(expect.arrayContaining(bad.map(([reason]) => reason)));
  });

  it('tells it all over HTTP', async () => {
    expect(await json('/api/devices')).toMatchObject({ counts: { live: 3 } });
    expect(await json('/api/series?device=a&quantity=temperature')).toMatchObject({
      forecast: { model: 'seasonal-naive' },
    });
    const metrics = await (await fetch(`${service.pageUrl}/metrics`)).text();
    expect(metrics).toMatch(/^fleetcast_up 1$/m);
    expect(metrics).toMatch(/^fleetcast_not_taken_total\{where="bridge",reason="not-json",kept="true"\} 1$/m);
    expect((await fetch(`${service.pageUrl}/health`)).status).toBe(200);
  });
});

async function forecastsOf(log: EventLog, topic: string): Promise<Forecast[]> {
  const all: Forecast[] = [];
  for (let partition = 0; partition < 2; partition++) {
    const { earliest, end } = await log.offsets(topic, partition);
    for (let next = earliest; next < end; ) {
      const batch = await log.read(topic, partition, next);
      for (const { value } of batch.records) all.push(decodeRecord(value!) as Forecast);
      next = batch.nextOffset;
    }
  }
  return all;
}

async function eventually<T>(read: () => Promise<T>, done: (value: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await read();
    if (done(value)) return value;
    if (tries > 200) throw new Error(`still not there: ${JSON.stringify(value).slice(0, 2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
