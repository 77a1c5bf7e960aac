import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const KAFKA_IMAGE = 'apache/kafka:4.3.1';
export const MOSQUITTO_IMAGE = 'eclipse-mosquitto:2';

interface DockerOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  /** What was written to standard error as well. */
  readonly both?: boolean;
}

/** Output of `docker …`. An engine that hangs is a failure, not a wait. @throws with what docker said. */
export async function docker(args: readonly string[], options: DockerOptions = {}) {
  const { env = {}, timeoutMs = 60_000, both = false } = options;
  try {
    const { stdout, stderr } = await run('docker', [...args], {
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 2 ** 20,
    });
    return `${stdout}${both ? stderr : ''}`.trim();
  } catch (cause) {
    const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string };
    throw new Error(`docker ${args.join(' ')}: ${`${stdout}\n${stderr}`.trim().slice(-2000)}`, { cause });
  }
}

/** Whether an engine answers; asked once. */
export const hasDocker: boolean = spawnSync('docker', ['info'], { timeout: 60_000, stdio: 'ignore' }).status === 0;

/**
 * Whether the images are here or can be pulled: an engine may be there and reach no place to pull from. Says which of
 * them were made on this machine to stand in for the public ones: a pass with those proves our files, not the public tags.
 */
export async function haveImages(images: readonly string[]): Promise<boolean> {
  if (!hasDocker) return false;
  for (const image of images) {
    try {
      const labels = await docker(['image', 'inspect', '-f', '{{json .Config.Labels}}', image]);
      if (/"local\.stamp"/.test(labels)) console.log(`${image}: stand-in image`);
    } catch {
      const pulled = await docker(['pull', '-q', image], { timeoutMs: 300_000 }).catch(() => undefined);
      if (pulled === undefined) return false;
    }
  }
  return true;
}
