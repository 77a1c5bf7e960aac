import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./log-process.mjs', import.meta.url));

/** A process of `log-process.mjs` and what it has said so far. */
export class Child {
  readonly lines: string[] = [];
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
  errors = '';

  constructor(...args: string[]) {
    this.process = spawn(process.execPath, [SCRIPT, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = createInterface({ input: this.process.stdout! });
    lines.on('line', (line) => this.lines.push(line));
    this.process.stderr!.on('data', (data) => {
      this.errors += data;
    });
    this.ended = Promise.all([
      new Promise<void>((resolve) => this.process.once('close', () => resolve())),
      new Promise<void>((resolve) => lines.once('close', () => resolve())),
    ]).then(() => undefined);
  }

  async said(pattern: RegExp, times = 1): Promise<void> {
    const enough = (): boolean => this.lines.filter((line) => pattern.test(line)).length >= times;
    while (!enough()) {
      if (this.process.exitCode !== null) {
        // Its last lines may still be on their way.
        await this.ended;
        if (enough()) return;
        throw new Error(`the child ended: ${this.errors}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Asks it to leave, and waits. */
  async stop(): Promise<void> {
    this.process.kill('SIGTERM');
    await this.ended;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGCONT');
    this.process.kill('SIGKILL');
    await this.ended;
  }
}
