import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./pipeline-process.mjs', import.meta.url));

export interface PipelineChildOptions {
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly group: string;
  readonly member: string;
  readonly topology: 'forecasting' | 'joins' | 'sums-1' | 'sums-2' | 'sums-3';
  readonly sessionMs?: number;
  readonly standby?: 'all' | readonly number[];
}

/** A process of `pipeline-process.mjs`. */
export class PipelineChild {
  readonly options: PipelineChildOptions;
  readonly lines: { readonly at: number; readonly text: string }[] = [];
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
  errors = '';

  constructor(options: PipelineChildOptions) {
    this.options = options;
    this.process = spawn(process.execPath, [SCRIPT, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface({ input: this.process.stdout! }).on('line', (text) => this.lines.push({ at: Date.now(), text }));
    this.process.stderr!.on('data', (data) => {
      this.errors += data;
    });
    this.ended = new Promise((resolve) => this.process.on('close', () => resolve()));
  }

  /** Resolves when a line matches; rejects when the process ends before. */
  async said(pattern: RegExp): Promise<void> {
    while (!this.lines.some(({ text }) => pattern.test(text))) {
      if (this.process.exitCode !== null) throw new Error(`the process ended: ${this.errors}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    this.process.kill('SIGTERM');
    const hung = setTimeout(() => this.process.kill('SIGKILL'), 30_000);
    await this.ended;
    clearTimeout(hung);
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  pause(): void {
    this.process.kill('SIGSTOP');
  }

  resume(): void {
    this.process.kill('SIGCONT');
  }
}
