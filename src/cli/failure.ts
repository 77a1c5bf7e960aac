import { CommanderError } from 'commander';
import { ERRORS, isFleetcastError, messageOf } from '../errors.ts';
import { type ConfigurationIssue, issueText } from '../service/configuration/load.ts';

/** Exit codes: 0 done, 1 failed, 2 called or configured wrongly. */
export interface Failure {
  readonly code: string;
  readonly exitCode: 1 | 2;
  readonly message: string;
  readonly action: string;
  /** Further lines: the other issues of a configuration, for example. */
  readonly more: readonly string[];
}

const CALLERS_FAULT: ReadonlySet<string> = new Set(['USAGE', 'CONFIG_INVALID', 'CONFIG_UNREADABLE']);

/** What a command's error means to its caller; undefined where it is no failure (help was asked for). */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return undefined;
    const message = error.message.replace(/^error: /, '');
    return { code: 'USAGE', exitCode: 2, message, action: ERRORS.USAGE.action, more: [] };
  }
  if (isFleetcastError(error)) {
    const issues = (error.details['issues'] ?? []) as readonly ConfigurationIssue[];
    const exitCode = CALLERS_FAULT.has(error.code) ? 2 : 1;
    return {
      code: error.code,
      exitCode,
      message: error.message,
      action: error.action,
      more: issues.slice(1).map(issueText),
    };
  }
  const action = 'This is a defect: report it with the message and what you did.';
  return { code: 'UNEXPECTED', exitCode: 1, message: messageOf(error), action, more: [] };
}

/** One line with code, message and action; then what else there is to say. */
export function failureText(failure: Failure): string {
  const { code, message, action, more } = failure;
  const end = /[.!?]$/.test(message) ? '' : '.';
  return [`error ${code}: ${message}${end} ${action}`, ...more.map((line) => `  ${line}`)].join('\n');
}
