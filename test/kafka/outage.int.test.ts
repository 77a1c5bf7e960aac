import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { connectPublisher } from '../../src/bridges/mqtt/publisher.ts';
import { decodeRecord } from '../../src/events/codec.ts';
import type { Forecast } from '../../src/events/records.ts';
import { readAll } from '../../src/log/event-log.contract.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { parseConfiguration } from '../../src/service/configuration/load.ts';
import { createLogger } from '../../src/service/logging/logger.ts';
import { startPatiently } from '../../src/service/patient-start.ts';
import { startService } from '../../src/service/service.ts';
import type { Health } from '../../src/service/status.ts';
import { freePort } from '../containers/free-port.ts';
import { startKafka } from '../log/kafka-broker.ts';
import { TcpProxy } from '../log/tcp-proxy.ts';

/** The broker closes idle connections after two seconds, and is reached through a proxy only. */
const PROXY = 2;
const kafka = await startKafka(1, {
  own: true,
  properties: (port) =>
    [`advertised.listeners=PLAINTEXT://localhost:${port + PROXY}`, 'connections.max.idle.ms=2000'].join('\n'),
});

describe.skipIf(kafka === undefined)(
  'kafka in trouble (needs the tool that starts a broker)',
  { timeout: 300_000 },
  () => {
    const port = Number(kafka?.brokers[0]?.split(':')[1]);
    const proxy = new TcpProxy(port + PROXY, port);
    const brokers = [`localhost:${port + PROXY}`];
    const record = (topic: string, text: string) => ({
      topic,
      partition: 0,
      timestamp: Date.now(),
      key: Buffer.from('k'),
      value: Buffer.from(text),
    });

    afterAll(async () => {
      await proxy.stop();
      await kafka?.stop();
    });

    /** Follows the topic from its begin; `seen` grows. */
    const follow = (log: EventLog, topic: string) => {
      const seen: string[] = [];
      const stop = new AbortController();
      const done = (async () => {
        for (let at = 0; !stop.signal.aborted; ) {
          const batch = await log.read(topic, 0, at, { waitMs: 1000, signal: stop.signal });
          for (const { value } of batch.records) seen.push(Buffer.from(value!).toString());
          at = batch.nextOffset;
        }
      })();
      return {
        seen,
        end: async () => {
          stop.abort();
          await done;
        },
      };
    };

    const configurationFor = (prefix: string, httpPort: number) => ({
      ...parseConfiguration(
        `{broker: {embedded: {port: 0}}, http: {port: ${httpPort}}, learner: {enabled: false},
        topics: {prefix: "${prefix}", partitions: 2}, log: {kafka: {brokers: ["${brokers[0]}"]}},
        mapping: {rules: [{topic: "fleet/+device", time: {path: time}, rest: strict}]},
        pipeline: {lookback: 4, horizon: 2, season: 2, grace: 1m}}`,
        'test',
      ),
      file: undefined,
      folder: '.',
    });
    const logger = createLogger({ level: 'silent' });
    const readyAt = async (url: string) => {
      const response = await fetch(`${url}/ready`);
      return { code: response.status, health: (await response.json()) as Health };
    };

    test('a service that finds no broker at its start waits, says for what, and begins by itself', async () => {
      // The proxy is not there yet: nobody listens at the broker's address.
      const httpPort = await freePort();
      const url = `http://127.0.0.1:${httpPort}`;
      const stop = new AbortController();
      const options = { configuration: configurationFor('begin.', httpPort), logger };
      const starting = startPatiently(options, stop.signal);
      await expect
        .poll(() => readyAt(url).catch(() => undefined), { timeout: 60_000 })
        .toMatchObject({
          code: 503,
          health: { status: 'degraded', problems: [expect.stringMatching(/the log is away: .*ECONNREFUSED/)] },
        });
      expect((await fetch(`${url}/health`)).status).toBe(200);

      // Asked to end while it waits, it ends.
      stop.abort();
      expect(await starting).toBeUndefined();
      await expect(fetch(`${url}/ready`)).rejects.toThrow();

      const again = startPatiently(options, new AbortController().signal);
      await expect.poll(() => readyAt(url).catch(() => undefined), { timeout: 60_000 }).toMatchObject({ code: 503 });
      await proxy.start();
      const service = await again;
      expect(service?.pageUrl).toBe(url);
      await expect.poll(() => readyAt(url), { timeout: 60_000 }).toMatchObject({ code: 200 });
      await service?.stop();
    });

    test('goes on after the broker has closed idle connections, again and again', async () => {
      const log = await openKafkaLog({ brokers, prefix: 'idle.' });
      await log.ensureTopics(['t', 'quiet'].map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
      const reader = follow(log, 't');
      const expected: string[] = [];
      for (let round = 0; round < 3; round++) {
        const began = performance.now();
        await log.append([record('t', `plain ${round}`)]);
        await log.appendAtomically([record('t', `together ${round}`)]);
        expected.push(`plain ${round}`, `together ${round}`);
        expect((await log.topics()).length).toBe(2);
        expect((await log.read('quiet', 0, 0)).records).toEqual([]);
        await expect.poll(() => reader.seen, { timeout: 60_000 }).toEqual(expected);
        // No request has run into its time-out.
        expect(performance.now() - began).toBeLessThan(10_000);
        await pause(3000);
      }
      expect(log.trouble!()).toBeUndefined();
      await reader.end();
      await log.close();
    });

    test('goes on after connections were cut, delayed, and silently dead', async () => {
      const log = await openKafkaLog({ brokers, prefix: 'cut.', requestTimeoutMs: 1500 });
      await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete' }]);
      const reader = follow(log, 't');
      const expected: string[] = [];
      const send = async (text: string) => {
        expected.push(text);
        if (expected.length % 2 === 0) await log.append([record('t', text)]);
        else await log.appendAtomically([record('t', text)]).catch(() => expected.pop());
      };
      await send('before');
      proxy.cut(true);
      await send('after a reset');
      proxy.delay(300);
      await send('slow');
      proxy.delay(0);
      proxy.freeze(true);
      const frozen = send('frozen');
      await pause(2500);
      proxy.freeze(false);
      await frozen;
      proxy.cut(false);
      await send('last');
      await log.append([record('t', 'end')]);
      expected.push('end');
      await expect.poll(() => reader.seen.at(-1), { timeout: 60_000 }).toBe('end');
      // What was told to have failed may be there: only the append that succeeded says how things ended.
      expect(reader.seen.filter((text) => expected.includes(text))).toEqual(expected);
      expect(new Set(reader.seen).size).toBe(reader.seen.length);
      await reader.end();
      await log.close();
    });

    test('the service waits for brokers that are away, says so, and goes on by itself', async () => {
      const log = await openKafkaLog({ brokers, retryMs: 2000 });
      const service = await startService({ configuration: configurationFor('out.', 0), logger, log });
      const publisher = await connectPublisher({ url: service.brokerUrl, protocol: '3.1.1' });
      const ready = () => readyAt(service.pageUrl!);
      const publish = (hour: number) =>
        publisher.publish('fleet/a', JSON.stringify({ time: Date.UTC(2020, 0, 1, hour), temperature: hour }), {
          qos: 1,
        });
      for (let hour = 0; hour < 12; hour++) await publish(hour);
      await expect.poll(ready, { timeout: 60_000 }).toMatchObject({ code: 200 });
      await kafka!.halt('KILL');
      await expect
        .poll(async () => (await ready()).health.problems.join(), { timeout: 60_000 })
        .toMatch(/the log is away/);
      const publishing = Promise.all([12, 13, 14, 15].map(publish));
      await pause(4000);
      expect(await ready()).toMatchObject({ code: 503, health: { status: 'degraded' } });
      expect((await fetch(`${service.pageUrl}/health`)).status).toBe(200);
      await kafka!.start();
      await publishing;
      await expect.poll(ready, { timeout: 300_000 }).toMatchObject({ code: 200 });
      // One for each closed hour but the first: half of a window has to be measured.
      await expect
        .poll(() => service.status().totals, { timeout: 60_000 })
        .toMatchObject({ readings: 16, forecasts: 14 });
      await publisher.end();
      await service.stop();
      // What was processed again after the outage is on the topic once, for one who reads all of it afterwards.
      const reader = await openKafkaLog({ brokers });
      const forecasts = (await Promise.all([0, 1].map((p) => readAll(reader, 'out.forecasts', p))))
        .flat()
        .map(({ value }) => decodeRecord(value!) as Forecast);
      await reader.close();
      const origins = forecasts.map(({ device, quantity, origin }) => `${device} ${quantity} ${origin}`);
      expect(origins).toHaveLength(14);
      expect(new Set(origins).size).toBe(14);
      await log.close();
    });
  },
);
