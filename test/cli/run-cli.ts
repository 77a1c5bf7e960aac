import { runCli } from '../../src/cli/program.ts';
import type { Terminal } from '../../src/cli/terminal.ts';

export interface CliResult {
  readonly code: number;
  readonly out: string[];
  readonly notes: string[];
}

/** Runs a command in this process, as a script would see it. */
export async function cli(
  args: readonly string[],
  signal: AbortSignal = new AbortController().signal,
): Promise<CliResult> {
  const out: string[] = [];
  const notes: string[] = [];
  const terminal: Terminal = {
    interactive: false,
    width: 100,
    signal,
    out: (line) => out.push(...line.split('\n')),
    note: (line) => notes.push(...line.split('\n')),
    redraw: () => {},
  };
  return { code: await runCli(args, terminal), out, notes };
}
