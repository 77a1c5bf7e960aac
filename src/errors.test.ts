import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERRORS, FleetcastError, isFleetcastError } from './errors.ts';

const PAGE = new URL('../docs/errors.md', import.meta.url);

/** The page is written from the table: `UPDATE_DOCS=1 npx vitest run src/errors.test.ts`. */
function page(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, entry]) => `| \`${code}\` | ${entry.meaning} | ${entry.action} | ${entry.retryable ? 'yes' : 'no'} |`,
  );
  return [
    '# Errors',
    '',
    'Every error carries one of these codes; they are stable across versions. The message beside it names the file, field, topic or device at fault. Retryable: the same call may succeed later with nothing changed.',
    '',
    '| code | what it means | what to do | retryable |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

describe('the table of errors', () => {
  it('is what the documentation says', () => {
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, page());
    expect(readFileSync(PAGE, 'utf8')).toBe(page());
  });

  it('gives an error its code, advice and cause', () => {
    const cause = new Error('disk');
    const error = new FleetcastError('LOG_FULL', 'readings/3', { cause, details: { partition: 3 } });
    expect(error).toMatchObject({ code: 'LOG_FULL', retryable: true, cause, details: { partition: 3 } });
    expect(error.action).toBe(ERRORS.LOG_FULL.action);
    expect(isFleetcastError(error, 'LOG_FULL')).toBe(true);
    expect(isFleetcastError(error, 'LOG_FENCED')).toBe(false);
    expect(isFleetcastError(cause)).toBe(false);
  });
});
