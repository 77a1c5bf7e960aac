import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startKafka } from '../log/kafka-broker.ts';
import { TcpProxy } from '../log/tcp-proxy.ts';
import { torture } from './torture.ts';
import { forecastingUnderTorture } from './torture-forecasting.ts';
import { joinsUnderTorture } from './torture-joins.ts';

// The long form is `npm run torture:kafka`: TORTURE_FAULTS, TORTURE_NODES (1 or 3), TORTURE_SEED, TORTURE_TOPOLOGY (one of
// the two; both otherwise), TORTURE_RESULT (a file).
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

describe.skipIf(kafka === undefined)('topologies on kafka under faults (needs the tool that starts brokers)', () => {
  const proxies = (kafka?.brokers ?? []).map((broker) => {
    const port = Number(broker.split(':')[1]);
    return new TcpProxy(port + PROXY, port);
  });
  beforeAll(async () => {
    for (const proxy of proxies) await proxy.start();
  });
  afterAll(async () => {
    for (const proxy of proxies) await proxy.stop();
    await kafka?.stop();
  });

  const forms = [
    {
      name: 'forecasting',
      topology: forecastingUnderTorture(seed),
      faults,
      what: 'every reading exactly once, byte for byte as an undisturbed run',
      least: { forecasts: 100, history: 10 },
    },
    {
      name: 'joins',
      topology: joinsUnderTorture(seed),
      faults: long ? faults : Math.min(faults, 4),
      what: 'every input of joins, of windows and of state behind a keyBy exactly once',
      least: { checked: 100, pairs: 10, visits: 10, arrived: 100, seen: 100, windows: 1 },
    },
  ].filter(({ name }) => [undefined, name].includes(process.env['TORTURE_TOPOLOGY']));

  const timeout = 180_000 + faults * 30_000;
  test.each(forms)('$name: accounts for $what', { timeout }, async ({ name, topology, faults, least }) => {
    const say = (text: string): void => {
      if (long) console.log(text);
    };
    const began = Date.now();
    const ledger = await torture(kafka!, proxies, { seed, faults, topology, hoursAFault: 12, say });
    const result = {
      date: new Date(began).toISOString(),
      seconds: (Date.now() - began) / 1000,
      topology: name,
      nodes,
      seed,
      ...ledger,
    };
    say(JSON.stringify(result, undefined, 2));
    const file = process.env['TORTURE_RESULT'];
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
    expect(ledger.wrong).toEqual([]);
    for (const [topic, aFault] of Object.entries(least)) {
      expect(ledger.outputs[topic]).toBeGreaterThan(faults * aFault);
    }
  });
});
