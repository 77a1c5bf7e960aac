import { destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export interface LoggerOptions {
  readonly level: string;
  /** A file instead of standard error. */
  readonly file?: string;
  /** Standard error shows progress to a person: only warnings and worse are written there. */
  readonly quiet?: boolean;
}

/** Field names whose values never reach a log line, wherever they stand. */
const SECRETS = ['password', 'token', 'authorization', 'sasl', 'secret'];

/** Structured log lines (JSON, one an event). Times are ISO 8601, UTC. */
export function createLogger(options: LoggerOptions): Logger {
  const level = options.quiet && options.file === undefined && options.level !== 'silent' ? 'warn' : options.level;
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[hidden]' },
    },
    destination({ dest: options.file ?? 2, sync: true, mkdir: true }),
  );
}
