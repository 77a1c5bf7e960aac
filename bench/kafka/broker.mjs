// A broker for the benchmarks: the one that KAFKA_BROKERS names, or one of our own with the tool that the tests use.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Path of a tool (FLEETCAST_TEST_TOOLS), or undefined. */
export function toolFile(name) {
  const folder = process.env.FLEETCAST_TEST_TOOLS ?? fileURLToPath(new URL('../../../shared/tools', import.meta.url));
  const path = join(folder, name);
  return existsSync(path) ? path : undefined;
}

/** @returns `brokers` (host:port, …) and `stop`. */
export function startBroker() {
  if (process.env.KAFKA_BROKERS) return { brokers: process.env.KAFKA_BROKERS, stop() {} };
  const starter = toolFile('kafka/start-kafka.sh');
  if (starter === undefined) throw new Error('KAFKA_BROKERS names no broker, and the tool that starts one is missing');
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-bench-kafka-'));
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const env = { ...process.env, HEAP: '1g' };
  const printed = execFileSync(starter, [String(port), folder, '1'], { env, encoding: 'utf8' });
  return {
    brokers: JSON.parse(printed.trim().split('\n').at(-1)).bootstrap,
    stop() {
      spawnSync(toolFile('kafka/stop-kafka.sh'), [folder, 'KILL', 'wipe']);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What the Kafka Streams peer prints as JSON, or undefined where the peer is missing. */
export function runPeer(brokers, records, threads, mode, keys, env = {}) {
  const script = toolFile('kafka-streams-peer/run-peer.sh');
  if (script === undefined) return undefined;
  const args = [brokers, String(records), String(threads), mode, String(keys)];
  const printed = execFileSync(script, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  return JSON.parse(printed.trim().split('\n').at(-1));
}
