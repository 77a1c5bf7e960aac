import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '../containers/free-port.ts';

export interface RunningRegistry {
  readonly url: string;
  stop(): Promise<void>;
}

/** The runner of Apicurio Registry 2.6 (Maven: io.apicurio:apicurio-registry-app, classifier all); undefined without. */
const jar = process.env['FLEETCAST_TEST_REGISTRY'];
export const hasRegistry = jar !== undefined && existsSync(jar);

/** A real schema registry of its own, in memory, on loopback. Its interface is the one that Confluent's has. */
export async function startRegistry(): Promise<RunningRegistry> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-registry-'));
  const child = spawn(
    'java',
    ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', `-Djava.io.tmpdir=${folder}`, '-jar', jar!],
    {
      cwd: dirname(jar!),
      stdio: 'ignore',
      env: { ...process.env, QUARKUS_HTTP_HOST: '127.0.0.1', QUARKUS_HTTP_PORT: String(port) },
    },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`;
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + 90_000;
  for (;;) {
    const answer = await fetch(`${url}/subjects`).catch(() => undefined);
    if (answer?.ok) return { url, stop };
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error('the schema registry does not start');
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
