import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { haveImages, KAFKA_IMAGE } from '../containers/docker.ts';
import { toolFile } from '../data-folder.ts';

export interface RunningKafka {
  readonly brokers: string[];
  /** Where its data and process ids are; undefined for a broker that was running already. */
  readonly folder: string | undefined;
  readonly nodes: number;
  /** Kills or stops one node or, without a number, all that this call started; `start` brings them back as they were. */
  halt(signal: 'TERM' | 'KILL', node?: number): Promise<void>;
  start(): Promise<void>;
  /** Stops and forgets what this call started. */
  stop(): Promise<void>;
}

const run = promisify(execFile);

async function inContainer(): Promise<RunningKafka> {
  const { startKafkaContainer } = await import('../containers/kafka.ts');
  const { brokers, stop } = await startKafkaContainer();
  const nothing = async () => {};
  return { brokers, folder: undefined, nodes: 1, halt: nothing, start: nothing, stop };
}

/**
 * A broker: the one that KAFKA_BROKERS names, or one of our own, by the tool or else in a container; undefined where none
 * can be had.
 * @param own only one of our own, for tests that kill it.
 * @param properties more of a node's configuration, by its port; ports + 2 to + 9 are free for further listeners.
 */
export async function startKafka(
  nodes = 1,
  { own = false, properties = undefined as ((port: number) => string) | undefined } = {},
): Promise<RunningKafka | undefined> {
  const named = process.env['KAFKA_BROKERS'];
  if (named && !own && properties === undefined) {
    const nothing = async () => {};
    return { brokers: named.split(','), folder: undefined, nodes: 1, halt: nothing, start: nothing, stop: nothing };
  }
  const starter = toolFile('kafka/start-kafka.sh');
  const stopper = toolFile('kafka/stop-kafka.sh');
  if (starter === undefined || stopper === undefined) {
    if (own || properties !== undefined || nodes > 1) return undefined;
    return (await haveImages([KAFKA_IMAGE])) ? inContainer() : undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-kafka-'));
  const port = await freePort();
  await run(toolFile('kafka/get-kafka.sh')!, []);
  const numbers = Array.from({ length: nodes }, (_, i) => i);
  const folderOf = (node: number) => join(folder, String(node));
  const pidFile = (node: number) => join(folderOf(node), `n${node}`, 'pid');
  /**
   * One node with a configuration of its own. The starter gives all nodes the same and leaves those alone whose process
   * lives: so each node has a folder of its own, where the others pass as living while it starts.
   */
  const startNode = async (node: number) => {
    const others = numbers.filter((other) => other !== node).map((other) => join(folderOf(node), `n${other}`));
    for (const other of others) {
      mkdirSync(other, { recursive: true });
      writeFileSync(join(other, 'pid'), String(process.pid));
    }
    try {
      await run(starter, [String(port), folderOf(node), String(nodes)], {
        env: { ...process.env, HEAP: '384m', EXTRA_PROPS: properties?.(port + 10 * node) ?? '' },
      });
    } finally {
      for (const other of others) rmSync(other, { recursive: true });
    }
  };
  const start = async () => {
    await Promise.all(numbers.map(startNode));
  };
  await start();
  return {
    brokers: numbers.map((node) => `127.0.0.1:${port + 10 * node}`),
    folder,
    nodes,
    halt: async (signal, node) => {
      const pids = (node === undefined ? numbers : [node]).map((each) => Number(readFileSync(pidFile(each), 'utf8')));
      for (const pid of pids) if (isAlive(pid)) process.kill(pid, `SIG${signal}`);
      while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 50));
    },
    start,
    stop: async () => {
      await Promise.all(numbers.map((node) => run(stopper, [folderOf(node), 'KILL', 'wipe']).catch(() => {})));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The first of forty free ports in a row, as three nodes take them (ten apart, two each). */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const free = await Promise.all([0, 1, 2, 3, 10, 11, 20, 21].map((more) => isFree(port + more)));
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
