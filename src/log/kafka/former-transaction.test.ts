import { expect, test } from 'vitest';
import { decodeOutcome } from './former-transaction.ts';

function answer(state: string, error = 0): Buffer {
  const name = Buffer.from(state);
  return Buffer.concat([
    Buffer.from('000000000002', 'hex'),
    Buffer.from(error.toString(16).padStart(4, '0'), 'hex'),
    Buffer.from('0374', 'hex'),
    Buffer.from('31', 'hex'),
    Buffer.of(name.length + 1),
    name,
  ]);
}

test.each([
  ['PrepareCommit', 'commit'],
  ['CompleteCommit', 'commit'],
  ['Ongoing', 'abort'],
  ['PrepareAbort', 'abort'],
  ['CompleteAbort', 'abort'],
  ['Empty', undefined],
])('a transaction that is %s ends with: %s', (state, outcome) => {
  expect(decodeOutcome(answer(state))).toBe(outcome);
});

test('an id that is not known had no transaction; other errors are errors', () => {
  expect(decodeOutcome(answer('', 105))).toBeUndefined();
  expect(() => decodeOutcome(answer('', 14))).toThrow(/last transaction of t1: Kafka answers error 14/);
});
