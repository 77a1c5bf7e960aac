import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasRegistry, type RunningRegistry, startRegistry } from '../../../test/log/schema-registry.ts';
import { decodeRecord, encodeRecord } from '../../events/codec.ts';
import { schemaText } from '../../events/schema-registry.ts';
import { readAll } from '../event-log.contract.ts';
import type { EventLog } from '../event-log.ts';
import { MemoryLog } from '../memory/memory-log.ts';
import { ConfluentFormat, type SubjectNaming } from './confluent.ts';
import { FormattedLog } from './formatted-log.ts';
import { RegistryClient, type RegistryOptions } from './registry-client.ts';

const records = new Map([
  ['readings', ['Reading', 'Tick', 'Activation'] as const],
  ['forecasts', ['Forecast'] as const],
]);
const specs = [...records.keys()].map((name) => ({ name, partitions: 1, cleanup: 'delete' as const }));
const out = (topic: string, value: Uint8Array) => ({ topic, partition: 0, timestamp: 5, key: null, value });
const tick = encodeRecord({ type: 'Tick', time: 77 });
const forecast = encodeRecord({
  ...{ type: 'Forecast', device: 'd', quantity: 'q', origin: 1, interval: 60_000, values: [1, 2], lower: [0, 1] },
  ...{ upper: [2, 3], level: 0.9, model: 'm', inputOffset: 3, arithmetic: 1 },
});
const edited = (name: 'Tick' | 'Forecast', edit: (fields: object[]) => object[]) => {
  const schema = JSON.parse(schemaText(name)) as { fields: object[] };
  return JSON.stringify({ ...schema, fields: edit(schema.fields) });
};

/** What stands between the client and the registry: asks for a login, and fails as it is told to. */
interface Gate {
  readonly url: string;
  /** Statuses to answer with, in order; then requests go through. */
  readonly failures: number[];
  open: boolean;
  requests: number;
  close(): Promise<void>;
}

async function startGate(target: string, login: string): Promise<Gate> {
  const gate = { url: '', failures: [] as number[], open: true, requests: 0, close: async () => {} };
  const server: Server = createServer((incoming, answer) => {
    gate.requests++;
    if (!gate.open) {
      incoming.socket.destroy();
      return;
    }
    const failure = gate.failures.shift();
    if (failure !== undefined) {
      answer.writeHead(failure).end('{"message":"planted"}');
      return;
    }
    if (incoming.headers.authorization !== login) {
      answer.writeHead(401).end('{"message":"who are you?"}');
      return;
    }
    const sent = request(target + incoming.url, { method: incoming.method, headers: incoming.headers }, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.pipe(answer);
    });
    sent.on('error', () => incoming.socket.destroy());
    incoming.pipe(sent);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  gate.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  gate.close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return gate;
}

describe.skipIf(!hasRegistry)('a schema registry (needs FLEETCAST_TEST_REGISTRY)', () => {
  let registry: RunningRegistry;
  let gate: Gate;
  beforeAll(async () => {
    registry = await startRegistry();
    gate = await startGate(registry.url, `Basic ${Buffer.from('fleet:pass:word').toString('base64')}`);
  }, 300_000);
  afterAll(async () => {
    await gate?.close();
    await registry?.stop();
  });

  const client = (options: Partial<RegistryOptions> = {}) =>
    new RegistryClient({ urls: [registry.url], retryMs: 2000, ...options });
  const ask = async (path: string) => (await fetch(registry.url + path)).json() as Promise<unknown>;
  const put = (path: string, body: object) =>
    fetch(registry.url + path, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const open = async (
    naming?: SubjectNaming,
    options: Partial<RegistryOptions> = {},
    inner: EventLog = new MemoryLog(),
  ) => {
    await inner.ensureTopics(specs);
    return { inner, log: new FormattedLog(inner, new ConfluentFormat(client(options), records, naming)) };
  };

  test('records are in the wire format of Confluent, under the id that the registry gave', async () => {
    const { inner, log } = await open();
    await log.append([out('readings', tick), out('forecasts', forecast)]);
    const [raw] = await readAll(inner, 'forecasts', 0);
    const bytes = Buffer.from(raw!.value!);
    expect(bytes[0]).toBe(0);
    expect(bytes.subarray(5)).toEqual(Buffer.from(forecast).subarray(10));
    const found = (await ask(`/schemas/ids/${bytes.readUInt32BE(1)}`)) as { schema: string };
    expect(JSON.parse(found.schema)).toEqual(JSON.parse(schemaText('Forecast')));
    // Another process, which has registered nothing, reads what it finds.
    const { log: reader } = await open('topic', {}, inner);
    expect((await readAll(reader, 'forecasts', 0))[0]!.value).toEqual(forecast);
    expect((await readAll(reader, 'readings', 0))[0]!.value).toEqual(tick);
  });

  test('subjects are named after the topic, and after the record where a topic holds several', async () => {
    for (const naming of ['topic', 'record', 'topic-record'] as const) {
      const { log } = await open(naming);
      await log.ensureTopics(specs);
    }
    expect(((await ask('/subjects')) as string[]).sort()).toEqual(
      [
        'forecasts-value',
        ...['Reading', 'Tick', 'Activation', 'Forecast'].map((name) => `fleetcast.${name}`),
        ...['Reading', 'Tick', 'Activation'].map((name) => `readings-fleetcast.${name}`),
        'forecasts-fleetcast.Forecast',
      ].sort(),
    );
  });

  test('what was written before there was a registry is read beside what came after', async () => {
    const { inner, log } = await open();
    await inner.append([out('readings', tick)]);
    await log.append([out('readings', tick)]);
    await inner.append([out('readings', Buffer.from([0, 0, 0, 255, 255, 1]))]);
    const values = (await readAll(log, 'readings', 0)).map(({ value }) => Buffer.from(value!));
    expect(values).toEqual([tick, tick, Buffer.from([0, 0, 0, 255, 255, 1])].map((value) => Buffer.from(value)));
  });

  test('a record of another version of the schema is read as this one', async () => {
    const { inner, log } = await open();
    const later = edited('Tick', (fields) => [...fields, { name: 'leap', type: 'int', default: 0 }]);
    const id = await client().register('fleetcast.Tick', later);
    const framed = Buffer.from([0, 0, 0, 0, 0, 18, 2]);
    framed.writeUInt32BE(id, 1);
    await inner.append([out('readings', framed)]);
    const [read] = await readAll(log, 'readings', 0);
    expect(decodeRecord(read!.value!)).toEqual({ type: 'Tick', time: 9 });
  });

  test('a subject whose rule forbids our schema says so, with the reason', async () => {
    const other = edited('Forecast', (fields) => fields.slice(0, 3));
    await client().register('strict-value', other);
    expect((await put('/config/strict-value', { compatibility: 'BACKWARD' })).ok).toBe(true);
    const incompatible = schemaText('Forecast');
    expect((await client().incompatibilities('strict-value', incompatible)).join()).toMatch(/.../);
    expect(await client().incompatibilities('new-value', incompatible)).toEqual([]);
    await expect(client().register('strict-value', incompatible)).rejects.toMatchObject({
      code: 'REGISTRY_INCOMPATIBLE',
      message: expect.stringContaining('strict-value'),
    });
  });

  test('where registering is switched off, a missing schema is named', async () => {
    const inner = new MemoryLog();
    const format = new ConfluentFormat(client(), new Map([['unheard', ['Tick'] as const]]), 'topic', false);
    const log = new FormattedLog(inner, format);
    await expect(log.ensureTopics([{ name: 'unheard', partitions: 1, cleanup: 'delete' }])).rejects.toMatchObject({
      code: 'REGISTRY_REFUSED',
      message: expect.stringContaining('unheard-value'),
    });
    await client().register('unheard-value', schemaText('Tick'));
    await log.ensureTopics([{ name: 'unheard', partitions: 1, cleanup: 'delete' }]);
  });

  test('a login is sent, and a wrong one never shows', async () => {
    const urls = [gate.url];
    expect(await client({ urls, user: 'fleet', password: 'pass:word' }).schema(999_999)).toBeUndefined();
    const wrong = client({ urls, user: 'fleet', password: 'hush-hush' }).schema(1);
    await expect(wrong).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
    const error: unknown = await wrong.catch((refused: unknown) => refused);
    expect(`${inspect(error)} ${JSON.stringify(error)}`).not.toContain('hush-hush');
  });

  test('waits for a registry that is away, takes another, and ends with a clear error', async () => {
    const login = { user: 'fleet', password: 'pass:word' };
    gate.failures.push(503, 500);
    expect(
      await client({ urls: [gate.url], ...login }).register('forecasts-value', schemaText('Forecast')),
    ).toBeGreaterThan(0);
    gate.open = false;
    const second = client({ urls: [gate.url, registry.url] });
    expect(await second.register('forecasts-value', schemaText('Forecast'))).toBeGreaterThan(0);
    await expect(client({ urls: [gate.url], retryMs: 300, ...login }).schema(1)).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      retryable: true,
    });
    const { inner, log } = await open('topic', { urls: [gate.url], retryMs: 300, ...login });
    await expect(log.append([out('readings', tick)])).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    expect(await readAll(inner, 'readings', 0)).toEqual([]);
    gate.open = true;
    await log.append([out('readings', tick)]);
    // What is known needs no registry any more.
    gate.open = false;
    const before = gate.requests;
    await log.append([out('readings', tick)]);
    expect(await readAll(log, 'readings', 0)).toHaveLength(2);
    expect(gate.requests).toBe(before);
    gate.open = true;
  });
});
