import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toolFile } from '../data-folder.ts';

export interface RunningKafka {
  readonly brokers: string[];
  /** Where its data and process ids are; undefined for a broker that was running already. */
  readonly folder: string | undefined;
  /** Kills or stops the nodes that this call started; `start` brings them back with their data. */
  halt(signal: 'TERM' | 'KILL'): Promise<void>;
  start(): Promise<void>;
  /** Stops and forgets what this call started. */
  stop(): Promise<void>;
}

const run = promisify(execFile);

/** A broker: the one that KAFKA_BROKERS names, or one of our own; undefined where neither can be had. */
export async function startKafka(nodes = 1): Promise<RunningKafka | undefined> {
  const named = process.env['KAFKA_BROKERS'];
  if (named) {
    const nothing = async () => {};
    return { brokers: named.split(','), folder: undefined, halt: nothing, start: nothing, stop: nothing };
  }
  const starter = toolFile('kafka/start-kafka.sh');
  const stopper = toolFile('kafka/stop-kafka.sh');
  if (starter === undefined || stopper === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-kafka-'));
  const port = await freePort();
  const start = async () => {
    const { stdout } = await run(starter, [String(port), folder, String(nodes)], {
      env: { ...process.env, HEAP: '384m' },
    });
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as { bootstrap: string };
  };
  const { bootstrap } = await start();
  return {
    brokers: bootstrap.split(','),
    folder,
    halt: async (signal) => {
      await run(stopper, [folder, signal]);
    },
    start: async () => {
      await start();
    },
    stop: async () => {
      await run(stopper, [folder, 'KILL', 'wipe']).catch(() => {});
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The first of forty free ports in a row, as three nodes take them (ten apart, two each). */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const free = await Promise.all([0, 1, 10, 11, 20, 21].map((more) => isFree(port + more)));
    if (free.every(Boolean)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
