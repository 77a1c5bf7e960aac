import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Mosquitto {
  readonly url: string;
  readonly port: number;
  /** Ends it at once, without a chance to save anything it has not saved. */
  kill(): Promise<void>;
  /** Makes it write down what it holds, and waits until it has. Needs `persistence true`. */
  save(): Promise<void>;
  /** Starts it again on the same port, with what it has saved. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  remove(): Promise<void>;
}

/** Where Debian's package `mosquitto` puts the broker; undefined where it is not installed. */
export const mosquittoProgram: string | undefined = [
  '/usr/sbin/mosquitto',
  '/usr/local/sbin/mosquitto',
  'mosquitto',
].find((program) => spawnSync(program, ['-h']).error === undefined);

/** Starts a real Mosquitto on loopback, with its state in a folder of its own. */
export async function startMosquitto(settings: readonly string[] = []): Promise<Mosquitto> {
  const folder = await mkdtemp(join(tmpdir(), 'fleetcast-mosquitto-'));
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  await writeFile(
    config,
    [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'max_queued_messages 0',
      'max_inflight_messages 0',
      'set_tcp_nodelay true',
      `persistence_location ${folder}/`,
      // As root it would become another user, who cannot write here.
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      ...settings,
      '',
    ].join('\n'),
  );
  let running: ChildProcess | undefined;
  const ended = (child: ChildProcess) =>
    child.exitCode !== null || child.signalCode !== null
      ? Promise.resolve()
      : new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const mosquitto: Mosquitto = {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    kill: async () => {
      running?.kill('SIGKILL');
      if (running !== undefined) await ended(running);
    },
    save: async () => {
      const file = join(folder, 'mosquitto.db');
      const written = () => statSync(file, { throwIfNoEntry: false })?.mtimeMs;
      const before = written();
      running?.kill('SIGUSR1');
      for (let i = 0; i < 1000 && written() === before; i++) await new Promise((resolve) => setTimeout(resolve, 10));
      if (written() === before) throw new Error('mosquitto does not save');
    },
    start: async () => {
      const child = spawn(mosquittoProgram ?? 'mosquitto', ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
      running = child;
      let said = '';
      child.stderr?.on('data', (data: Buffer) => {
        said = (said + data.toString()).slice(-2000);
      });
      for (let i = 0; i < 500; i++) {
        if (child.exitCode !== null) throw new Error(`mosquitto ended: ${said}`);
        if (/running/.test(said)) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      throw new Error(`mosquitto does not start: ${said}`);
    },
    remove: async () => {
      running?.kill('SIGTERM');
      if (running !== undefined) await ended(running);
      await rm(folder, { recursive: true, force: true });
    },
  };
  await mosquitto.start();
  return mosquitto;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
