import { expect, it } from 'vitest';
import type { TaskStatus } from '../task-status.ts';
import { statusOf, type ThreadView } from './thread-status.ts';

const STUCK_MS = 1_000;

const task = (name: string): TaskStatus => ({
  task: name,
  subtopology: 'in',
  partition: 0,
  phase: 'running',
  phaseAgeMs: 5,
  inputs: [],
  lag: 0,
  lagMs: 0,
  commitAgeMs: 50,
  commits: 1,
  records: 1,
  restored: 1,
  keys: 1,
  restarts: 0,
  stuck: false,
  retentionAtRisk: false,
  error: undefined,
  errorCode: undefined,
});

const thread = (number: number, more: Partial<ThreadView>): ThreadView => ({
  number,
  state: 'up',
  tasks: [],
  lost: [],
  downAt: 0,
  backAt: 0,
  heardAt: 10_000,
  finished: false,
  error: undefined,
  errorCode: undefined,
  ...more,
});

it.each<[string, ThreadView[], string[]]>([
  [
    'what threads tell',
    [thread(0, { tasks: [task('a')] }), thread(1, { tasks: [task('b')] })],
    ['a running', 'b running'],
  ],
  ['a thread that hangs', [thread(0, { tasks: [task('a')], heardAt: 8_000 })], ['a running stuck']],
  ['a thread that hangs before it has told of a task', [thread(3, { heardAt: 8_000 })], ['thread 3 starting stuck']],
  [
    'a thread that has done everything',
    [thread(0, { tasks: [task('a')], heardAt: 8_000, finished: true })],
    ['a running'],
  ],
  ['a crash', [thread(0, { state: 'down', lost: [task('a')], downAt: 9_500 })], ['a backing-off']],
  ['a crash a while ago', [thread(0, { state: 'down', lost: [task('a')], downAt: 8_500 })], ['a backing-off stuck']],
  ['a crash before it had a task', [thread(1, { state: 'down', downAt: 9_500 })], ['thread 1 backing-off']],
  [
    'a thread that came back and has not been given its tasks',
    [thread(0, { lost: [task('a')], downAt: 9_000, backAt: 9_500 })],
    ['a starting'],
  ],
  [
    'a thread whose tasks went to another process',
    [thread(0, { lost: [task('a')], downAt: 8_000, backAt: 8_500 })],
    [],
  ],
  [
    'a thread that was given up, and its tasks taken over',
    [thread(0, { state: 'failed', downAt: 9_500 }), thread(1, { tasks: [task('a')] })],
    ['thread 0 failed stuck', 'a running'],
  ],
  [
    'the only thread given up',
    [thread(0, { state: 'failed', lost: [task('a')], downAt: 9_999 })],
    ['a failed stuck', 'thread 0 failed stuck'],
  ],
  ['a thread that was stopped', [thread(0, { state: 'ended', tasks: [task('a')], heardAt: 0 })], ['a stopped']],
])('shows %s', (_, threads, expected) => {
  const rows = statusOf(threads, 10_000, STUCK_MS);
  expect(rows.map(({ task, phase, stuck }) => `${task} ${phase}${stuck ? ' stuck' : ''}`)).toEqual(expected);
});

it('says why, and how old the last commit has become', () => {
  const [row] = statusOf(
    [thread(0, { state: 'down', lost: [task('a')], downAt: 9_800, error: 'crashed' })],
    10_000,
    1_000,
  );
  expect(row).toMatchObject({ error: 'crashed', phaseAgeMs: 200, commitAgeMs: 250 });
});
