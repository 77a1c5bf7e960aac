import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { docker, haveImages, MOSQUITTO_IMAGE } from './containers/docker.ts';
import { freePort } from './containers/free-port.ts';

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
export const mosquittoProgram: string | undefined =
  process.env['FLEETCAST_TEST_MOSQUITTO'] === 'container'
    ? undefined
    : ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', 'mosquitto'].find(
        (program) => spawnSync(program, ['-h']).error === undefined,
      );

/** Whether {@link startMosquitto} can start one: by the program, or else in a container. */
export const haveMosquitto: boolean = mosquittoProgram !== undefined || (await haveImages([MOSQUITTO_IMAGE]));

/** What differs between a process and a container. */
interface Runner {
  start(): Promise<void>;
  signal(signal: 'KILL' | 'TERM' | 'USR1'): Promise<void>;
  ended(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Starts a real Mosquitto on loopback, with its state in a folder of its own.
 * @param settings further lines of its configuration; files that they name are in the folder for temporary files.
 */
export async function startMosquitto(settings: readonly string[] = []): Promise<Mosquitto> {
  const folder = await mkdtemp(join(tmpdir(), 'fleetcast-mosquitto-'));
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  // In a container loopback is its own; the port is published on ours only.
  const lines = [`listener ${port} 127.0.0.1`, ...settings].map((line) =>
    mosquittoProgram === undefined ? line.replace(/^(listener \d+) .*/, '$1') : line,
  );
  await writeFile(
    config,
    [
      lines[0],
      'allow_anonymous true',
      'max_queued_messages 0',
      'max_inflight_messages 0',
      'set_tcp_nodelay true',
      `persistence_location ${folder}/`,
      // As root it would become another user, who cannot write here.
      ...(process.getuid?.() === 0 || mosquittoProgram === undefined ? ['user root'] : []),
      ...lines.slice(1),
      '',
    ].join('\n'),
  );
  const runner =
    mosquittoProgram === undefined ? await inContainer(config, lines) : asProcess(mosquittoProgram, config);
  const mosquitto: Mosquitto = {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    kill: async () => {
      await runner.signal('KILL');
      await runner.ended();
    },
    save: async () => {
      const file = join(folder, 'mosquitto.db');
      const written = () => statSync(file, { throwIfNoEntry: false })?.mtimeMs;
      const before = written();
      await runner.signal('USR1');
      for (let i = 0; i < 1000 && written() === before; i++) await pause(10);
      if (written() === before) throw new Error('mosquitto does not save');
    },
    start: runner.start,
    remove: async () => {
      await runner.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await mosquitto.start();
  return mosquitto;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until what it says since its start tells that it runs. It may say much right after that, by `autosave_interval`. */
async function running(said: () => Promise<string> | string, hasEnded: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (hasEnded()) throw new Error(`mosquitto ended: ${await said()}`);
    if (/running/.test(await said())) return;
    await pause(20);
  }
  throw new Error(`mosquitto does not start: ${await said()}`);
}

function asProcess(program: string, config: string): Runner {
  let child: ChildProcess | undefined;
  const runner: Runner = {
    start: async () => {
      const started = spawn(program, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
      child = started;
      let text = '';
      started.stderr?.on('data', (data: Buffer) => {
        // It says once that it runs, at its start; later only the end counts.
        text = /running/.test(text) ? text : text + data.toString();
      });
      await running(
        () => text,
        () => started.exitCode !== null,
      );
    },
    signal: async (signal) => {
      child?.kill(`SIG${signal}`);
    },
    ended: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      await new Promise<void>((resolve) => child?.once('exit', () => resolve()));
    },
    remove: async () => {
      await runner.signal('TERM');
      await runner.ended();
    },
  };
  return runner;
}

/** The folder for temporary files is seen inside under its own name: the configuration names files in it. */
async function inContainer(config: string, lines: readonly string[]): Promise<Runner> {
  const ports = lines.flatMap((line) => /^listener (\d+)/.exec(line)?.[1] ?? []);
  const published = ports.flatMap((port) => ['-p', `127.0.0.1:${port}:${port}`]);
  const volume = ['-v', `${tmpdir()}:${tmpdir()}`];
  const id = await docker(['create', ...published, ...volume, MOSQUITTO_IMAGE, 'mosquitto', '-c', config]);
  let since = '';
  return {
    start: async () => {
      since = new Date().toISOString();
      await docker(['start', id]);
      await running(
        () => docker(['logs', '--since', since, id], { both: true }),
        () => false,
      );
    },
    signal: async (signal) => {
      await docker(['kill', '-s', signal, id]);
    },
    ended: async () => {
      await docker(['wait', id]);
    },
    remove: async () => {
      await docker(['rm', '-f', '-v', id]);
    },
  };
}

/** A line of a password file, as `mosquitto_passwd` writes it: PBKDF2 with SHA-512. */
export function passwordLine(user: string, password: string): string {
  const salt = randomBytes(12);
  const rounds = 101;
  const hash = pbkdf2Sync(password, salt, rounds, 64, 'sha512');
  return `${user}:$7$${rounds}$${salt.toString('base64')}$${hash.toString('base64')}\n`;
}
