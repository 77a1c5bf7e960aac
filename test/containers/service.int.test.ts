import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPublisher } from '../../src/bridges/mqtt/publisher.ts';
import { decodeRecord } from '../../src/events/codec.ts';
import type { FleetRecord } from '../../src/events/records.ts';
import { readAll } from '../../src/log/event-log.contract.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { parseConfiguration } from '../../src/service/configuration/load.ts';
import { createLogger } from '../../src/service/logging/logger.ts';
import { startService } from '../../src/service/service.ts';
import { hasRegistry, type RunningRegistry, startRegistry } from '../log/schema-registry.ts';
import { haveImages, KAFKA_IMAGE, MOSQUITTO_IMAGE } from './docker.ts';
import { startKafkaContainer } from './kafka.ts';
import { startMosquittoContainer } from './mosquitto.ts';

/** Running ones that the user names, else containers. */
const named = { brokers: process.env['KAFKA_BROKERS']?.split(','), url: process.env['MQTT_URL'] };
const ready =
  (named.brokers !== undefined && named.url !== undefined) || (await haveImages([MOSQUITTO_IMAGE, KAFKA_IMAGE]));

const HOUR = 3_600_000;
const START = Date.UTC(2020, 0, 6);
const HOURS = 60;

describe.skipIf(!ready)('the service on Kafka and Mosquitto (needs Docker, or KAFKA_BROKERS and MQTT_URL)', () => {
  const ends: (() => Promise<void>)[] = [];
  let brokers: readonly string[];
  let url: string;
  let registry: RunningRegistry | undefined;
  beforeAll(async () => {
    const kafka = async () => {
      if (named.brokers !== undefined) return named.brokers;
      const started = await startKafkaContainer();
      ends.push(started.stop);
      return started.brokers;
    };
    const mosquitto = async () => {
      if (named.url !== undefined) return named.url;
      const started = await startMosquittoContainer();
      ends.push(started.stop);
      return started.url;
    };
    [brokers, url, registry] = await Promise.all([
      kafka(),
      mosquitto(),
      hasRegistry ? startRegistry() : Promise.resolve(undefined),
    ]);
    if (registry !== undefined) ends.push(registry.stop);
  }, 300_000);
  afterAll(async () => {
    await Promise.allSettled(ends.map((end) => end()));
  }, 300_000);

  const forecastsWith = async (name: string, kafka: string) => {
    const prefix = `fleetcast-${process.pid}-${name}.`;
    const text = `
broker: {url: "${url}", clientId: "${prefix}"}
http: {port: 0}
topics: {partitions: 2, prefix: "${prefix}"}
log: {kafka: {brokers: ${JSON.stringify(brokers)}, ${kafka}}}
mapping:
  subscribe: ["${prefix}/#"]
  rules:
    - {topic: ${prefix}/+device, time: {path: time}, rest: strict}
pipeline: {lookback: 48, horizon: 12, season: 24, grace: 1m}
learner: {enabled: false}
`;
    const service = await startService({
      configuration: { ...parseConfiguration(text, 'test'), file: undefined, folder: '.' },
      logger: createLogger({ level: 'silent' }),
    });
    try {
      const publisher = await connectPublisher({ url });
      // The bridge subscribes after the service has started: what is published before that is nobody's.
      while (service.status().bridge?.received === 0) {
        await publisher.publish(`${prefix}/probe`, JSON.stringify({ time: START, temperature: 1 }), { qos: 1 });
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      for (let hour = 0; hour < HOURS; hour++) {
        for (const device of ['a', 'b']) {
          const value = 20 + 5 * Math.sin((hour * Math.PI) / 12) + device.charCodeAt(0);
          const payload = JSON.stringify({ time: START + hour * HOUR, temperature: value });
          await publisher.publish(`${prefix}/${device}`, payload, { qos: 1 });
        }
      }
      await publisher.flush();
      await publisher.end();
      const topic = `${prefix}forecasts`;
      const read = async () => (await Promise.all([0, 1].map((p) => readAll(service.log, topic, p)))).flat();
      const decoded = async () => (await read()).map(({ value }) => decodeRecord(value!));
      await expect.poll(async () => (await decoded()).length, { timeout: 300_000 }).toBeGreaterThan(2 * (HOURS - 5));
      // As they are on the wire, for any other consumer.
      const bare = await openKafkaLog({ brokers });
      const raw = (await Promise.all([0, 1].map((p) => readAll(bare, topic, p)))).flat();
      await bare.close();
      return { prefix, decoded: await decoded(), raw: raw.map(({ value }) => Buffer.from(value!)) };
    } finally {
      await service.stop();
    }
  };

  /** One device's, as far as they are sure to be there; how often the probe was sent shows in the offsets. */
  const ofDevice = (records: readonly FleetRecord[]) =>
    records
      .flatMap((each) => (each.type === 'Forecast' && each.device === 'a' ? [{ ...each, inputOffset: 0 }] : []))
      .slice(0, HOURS - 5);
  let plain: Awaited<ReturnType<typeof forecastsWith>>;
  test('forecasts in single-object encoding', async () => {
    plain = await forecastsWith('plain', 'compression: lz4');
    for (const value of plain.raw) expect(value.subarray(0, 2)).toEqual(Buffer.from([0xc3, 0x01]));
  }, 300_000);

  test('the same forecasts as JSON', async () => {
    const { raw, decoded } = await forecastsWith('json', 'json: [forecasts], compression: zstd');
    expect(ofDevice(decoded)).toEqual(ofDevice(plain.decoded));
    expect(JSON.parse(raw[0]!.toString())).toEqual(decoded[0]);
  }, 300_000);

  test.skipIf(!hasRegistry)(
    'the same forecasts under the ids of a schema registry (needs FLEETCAST_TEST_REGISTRY)',
    async () => {
      const { raw, decoded, prefix } = await forecastsWith('registry', `registry: {url: "${registry!.url}"}`);
      expect(ofDevice(decoded)).toEqual(ofDevice(plain.decoded));
      for (const value of raw) expect(value[0]).toBe(0);
      const subjects = (await (await fetch(`${registry!.url}/subjects`)).json()) as string[];
      expect(subjects).toEqual(
        expect.arrayContaining([`${prefix}forecasts-value`, 'fleetcast.Reading', 'fleetcast.Tick']),
      );
    },
    120_000,
  );
});
