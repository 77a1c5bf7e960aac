/** Where commands write, and what they know of their surroundings: injected, so that tests can look on. */
export interface Terminal {
  /** Results: one line. */
  out(line: string): void;
  /** Progress and problems: one line. */
  note(line: string): void;
  /** Draws over the lines drawn before; does nothing where nobody looks on. */
  redraw(lines: readonly string[]): void;
  /** A person looks on: progress may be redrawn in place. */
  readonly interactive: boolean;
  readonly width: number;
  /** Aborted when the program is asked to end (Ctrl-C, SIGTERM). */
  readonly signal: AbortSignal;
}

/** The process's own streams. Results go to standard output, everything else to standard error. */
export function processTerminal(signal: AbortSignal): Terminal {
  const { stdout, stderr } = process;
  const interactive = stderr.isTTY === true && process.env['TERM'] !== 'dumb' && process.env['CI'] === undefined;
  let drawn = 0;
  const clear = () => {
    if (drawn > 0) stderr.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  return {
    interactive,
    get width() {
      return stderr.columns ?? 100;
    },
    signal,
    out: (line) => {
      clear();
      stdout.write(`${line}\n`);
    },
    note: (line) => {
      clear();
      stderr.write(`${line}\n`);
    },
    redraw: (lines) => {
      if (!interactive) return;
      clear();
      const cut = lines.map((line) => [...line].slice(0, (stderr.columns ?? 100) - 1).join(''));
      stderr.write(cut.map((line) => `${line}\n`).join(''));
      drawn = cut.length;
    },
  };
}

/** `━━━━╌╌╌╌ 52 %` */
export function progressBar(share: number, width = 24): string {
  const part = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
  const full = Math.round(part * width);
  return `${'━'.repeat(full)}${'╌'.repeat(width - full)} ${String(Math.floor(part * 100)).padStart(3)} %`;
}

export { textTable } from '../retraining/text-table.ts';

export function durationText(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
