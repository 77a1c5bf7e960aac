import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { connectPublisher } from '../../src/bridges/mqtt/publisher.ts';
import { decode } from '../../src/events/codec.ts';
import type { Forecast } from '../../src/events/records.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { encodeModel } from '../../src/pipelines/model-codec.ts';
import { ModelRegistry } from '../../src/pipelines/model-registry.ts';
import { topicNames } from '../../src/pipelines/topics.ts';
import { promote } from '../../src/retraining/lifecycle.ts';
import { loadConfiguration } from '../../src/service/configuration/load.ts';
import { createLogger } from '../../src/service/logging/logger.ts';
import { type Service, startService } from '../../src/service/service.ts';
import { cli } from '../cli/run-cli.ts';
import { startKafka } from '../log/kafka-broker.ts';
import { segmentArtefact } from '../models/segment-artefact.ts';
import { HOUR } from '../readings.ts';

const built = existsSync(new URL('../../dist/service/engine/pipeline.thread.js', import.meta.url));
const START = Date.UTC(2021, 0, 4);
const DEVICES = ['a', 'b', 'c', 'd', 'e', 'f'];
const shape = { lookback: 12, horizon: 4, season: 4 };
const kafka = built ? await startKafka() : undefined;

describe.skipIf(!built)('the service with its tasks on threads', { timeout: 180_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-threads-'));
  let service: Service | undefined;
  afterAll(async () => {
    await service?.stop();
    await kafka?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const write = (name: string, log: string, threads: number): string => {
    const file = join(folder, `${name}.yaml`);
    writeFileSync(
      file,
      [
        'broker: {embedded: {port: 0}}',
        `log: ${log}`,
        'http: {port: 0}',
        `topics: {partitions: 4, prefix: ${name}.}`,
        `pipeline: {lookback: 12, horizon: 4, season: 4, grace: 0s, threads: ${threads}}`,
        'learner: {enabled: false}',
      ].join('\n'),
    );
    return file;
  };
  const start = async (file: string) => {
    const configuration = loadConfiguration(file);
    service = await startService({ configuration, logger: createLogger({ level: 'silent' }) });
    return service;
  };
  const publish = async ({ brokerUrl }: Service, from: number, to: number): Promise<void> => {
    const publisher = await connectPublisher({ url: brokerUrl, protocol: '3.1.1' });
    for (let hour = from; hour < to; hour++) {
      for (const device of DEVICES) {
        const temperature = 20 + 5 * Math.sin((hour * Math.PI) / 6) + device.charCodeAt(0);
        const payload = JSON.stringify({ time: START + hour * HOUR, temperature });
        await publisher.publish(`fleet/${device}`, payload, { qos: 1 });
      }
    }
    await publisher.flush();
    await publisher.end();
  };
  const forecasts = async (log: EventLog, prefix: string): Promise<Forecast[]> => {
    const found: Forecast[] = [];
    for (let p = 0; p < 4; p++) {
      const { earliest, end } = await log.offsets(`${prefix}.forecasts`, p);
      for (let next = earliest; next < end; ) {
        const batch = await log.read(`${prefix}.forecasts`, p, next, { waitMs: 1_000 });
        found.push(...batch.records.map(({ value }) => decode<Forecast>('Forecast', value!)));
        next = batch.nextOffset;
      }
    }
    return found;
  };
  const logs: readonly (readonly [string, string])[] = [
    ['embedded', '{embedded: {path: data}}'],
    ...(kafka === undefined ? [] : [['kafka', `{kafka: {brokers: ${JSON.stringify(kafka.brokers)}}}`] as const]),
  ];

  it.each(
    logs,
  )('forecasts on the %s log, shows all of it, and is replayed on one thread to the same bytes', async (name, where) => {
    const file = write(name, where, 2);
    const running = await start(file);
    const { log, pageUrl } = running;
    const json = async (path: string) => (await fetch(`${pageUrl}${path}`)).json() as Promise<never>;
    await publish(running, 0, 30);
    const topics = topicNames(`${name}.`);
    const { id, bytes } = encodeModel(segmentArtefact(shape));
    await log.append([{ topic: topics.models, partition: 0, timestamp: 0, key: Buffer.from(id), value: bytes }]);
    const registry = new ModelRegistry({ log, topic: topics.models });
    await promote({ log, topics, now: Date.now, registry, name: 'default', shape }, id);
    await publish(running, 30, 60);
    const all = () => forecasts(log, name);
    await expect.poll(async () => (await all()).length, { timeout: 60_000 }).toBeGreaterThanOrEqual(6 * 59);
    expect((await all()).filter(({ model }) => model === id).length).toBeGreaterThan(60);

    const states = () =>
      running
        .status()
        .tasks.map(({ task, state }) => `${task} ${state}`)
        .sort();
    await expect
      .poll(states, { timeout: 30_000 })
      .toEqual([0, 1, 2, 3].map((p) => `${name}.forecasting.readings-${p} running`));
    expect(running.status()).toMatchObject({ health: { status: 'ok', problems: [] }, threadRestarts: 0 });
    for (const device of DEVICES) {
      expect(await json(`/api/state/normalise/windows/${device}`)).toMatchObject({ names: ['temperature'] });
    }
    expect(await (await fetch(`${pageUrl}/metrics`)).text()).toMatch(/^fleetcast_thread_restarts_total 0$/m);
    await running.stop();

    const verified = await cli(['replay', '--verify', '--config', file]);
    expect([verified.code, verified.notes, verified.out.at(-1)]).toEqual([0, [], 'identical, byte for byte']);

    // One thread goes on where two have stopped.
    const one = await start(write(name, where, 1));
    await publish(one, 60, 70);
    await expect
      .poll(async () => (await forecasts(one.log, name)).length, { timeout: 60_000 })
      .toBeGreaterThanOrEqual(6 * 69);
    await one.stop();
    const origins = (await cli(['replay', '--verify', '--config', file])).out.at(-1);
    expect(origins).toBe('identical, byte for byte');
  });

  it('goes on when its threads are killed under load, tells of it, and loses and doubles nothing', async () => {
    const file = write('killed', '{embedded: {path: killed}}', 2);
    const running = await start(file);
    const threads = await attachedThreads('pipeline.thread');
    const publishing = publish(running, 0, 400);
    const restarts = () => running.status().threadRestarts;
    const committed = async () => [...(await running.log.committed('killed.forecasting.readings')).values()];
    for (const [i, death] of ["setImmediate(() => { throw new Error('killed') })", 'process.exit(9)'].entries()) {
      await expect.poll(committed, { timeout: 30_000 }).toHaveLength(4);
      await threads.run(i, death);
      await expect.poll(restarts, { timeout: 30_000 }).toBe(i + 1);
    }
    await publishing;
    await expect
      .poll(async () => (await forecasts(running.log, 'killed')).length, { timeout: 60_000 })
      .toBeGreaterThanOrEqual(6 * 399);
    await expect.poll(() => running.status().health, { timeout: 30_000 }).toEqual({ status: 'ok', problems: [] });
    const metrics = await (await fetch(`${running.pageUrl}/metrics`)).text();
    expect(metrics).toMatch(/^fleetcast_thread_restarts_total 2$/m);
    expect(restarts()).toBe(2);
    threads.detach();
    await running.stop();
    expect((await cli(['replay', '--verify', '--config', file])).out.at(-1)).toBe('identical, byte for byte');
  });

  it('ends at once with the error that the threads refuse to start with', async () => {
    const file = write('other', '{embedded: {path: other}}', 2);
    const running = await start(file);
    await publish(running, 0, 2);
    const { log } = running;
    await expect
      .poll(async () => (await log.committed('other.forecasting.readings')).size, { timeout: 30_000 })
      .toBeGreaterThan(0);
    const key = Buffer.from('other.forecasting.readings');
    const value = Buffer.from(JSON.stringify({ 'former/store': 1 }));
    await log.append([{ topic: 'other.state-stores', partition: 0, timestamp: 0, key, value }]);
    await running.stop();
    await expect(start(file)).rejects.toMatchObject({
      code: 'STATE_ORPHANED',
      message: expect.stringMatching(/former\/store belongs to no node/),
    });
  });

  it('is refused with more threads than partitions, and on a log that threads cannot open', async () => {
    expect(() => loadConfiguration(write('many', '{embedded: {path: many}}', 5))).toThrow(
      /^many.yaml:\d+: pipeline.threads: 5 threads for 4 partitions/,
    );
    const options = { configuration: loadConfiguration(write('given', '{embedded: {path: given}}', 2)) };
    const log = new MemoryLog();
    await expect(startService({ ...options, logger: createLogger({ level: 'silent' }), log })).rejects.toMatchObject({
      code: 'USAGE',
    });
    await log.close();
  });
});

/** The worker threads of this process that run a certain file's code, by way of the debugger's protocol. */
async function attachedThreads(what: string) {
  const session = new Session();
  session.connect();
  const ids: string[] = [];
  session.on('NodeWorker.attachedToWorker', ({ params }) => ids.push(params.sessionId));
  await session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  const run = (id: string, expression: string) => {
    const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression, returnByValue: true } });
    return session.post('NodeWorker.sendMessageToWorker', { sessionId: id, message });
  };
  const asked = `JSON.stringify(process.getBuiltinModule('node:worker_threads').workerData?.module ?? '').includes('${what}')`;
  const own = new Set<string>();
  session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
    if (JSON.parse(params.message).result?.result?.value === true) own.add(params.sessionId);
  });
  for (const id of [...ids]) await run(id, asked);
  await expect.poll(() => own.size).toBe(2);
  const found = [...own];
  return { run: (i: number, expression: string) => run(found[i]!, expression), detach: () => session.disconnect() };
}
