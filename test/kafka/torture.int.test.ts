import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { startKafka } from '../log/kafka-broker.ts';
import { TcpProxy } from '../log/tcp-proxy.ts';
import { torture } from './torture.ts';

// The long form is `npm run torture:kafka`: TORTURE_FAULTS, TORTURE_NODES (1 or 3), TORTURE_SEED, TORTURE_RESULT (a file).
const faults = Number(process.env['TORTURE_FAULTS'] ?? 6);
const nodes = Number(process.env['TORTURE_NODES'] ?? 1);
const seed = Number(process.env['TORTURE_SEED'] ?? 7);
const long = process.env['TORTURE_FAULTS'] !== undefined;

/** Nodes tell clients, and each other, the address of a proxy. */
const PROXY = 2;
const kafka = await startKafka(nodes, {
  own: true,
  properties: (port) => `advertised.listeners=PLAINTEXT://127.0.0.1:${port + PROXY}`,
});

describe.skipIf(kafka === undefined)('the pipeline on kafka under faults (needs the tool that starts brokers)', () => {
  const proxies = (kafka?.brokers ?? []).map((broker) => {
    const port = Number(broker.split(':')[1]);
    return new TcpProxy(port + PROXY, port);
  });
  afterAll(async () => {
    for (const proxy of proxies) await proxy.stop();
    await kafka?.stop();
  });

  const timeout = 180_000 + faults * 30_000;
  test('accounts for every reading exactly once, byte for byte as an undisturbed run', { timeout }, async () => {
    for (const proxy of proxies) await proxy.start();
    const say = (text: string): void => {
      if (long) console.log(text);
    };
    const began = Date.now();
    const options = { seed, faults, partitions: 4, devices: 40, hoursAFault: 12, say };
    const ledger = await torture(kafka!, proxies, options);
    const result = {
      date: new Date(began).toISOString(),
      seconds: (Date.now() - began) / 1000,
      nodes,
      seed,
      ...ledger,
    };
    say(JSON.stringify(result, undefined, 2));
    const file = process.env['TORTURE_RESULT'];
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
    expect(ledger.wrong).toEqual([]);
    expect(ledger.outputs['forecasts']).toBeGreaterThan(faults * 100);
    expect(ledger.outputs['history']).toBeGreaterThan(faults * 10);
  });
});
