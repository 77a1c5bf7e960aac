import { describe, expect, it } from 'vitest';
import type { BridgeStatus } from '../bridges/mqtt/bridge.ts';
import type { TaskStatus } from '../topology/task-status.ts';
import { dropsOf, notesOf } from './drops.ts';
import { healthOf } from './health.ts';

const NOW = 1_000_000;

const task: TaskStatus = {
  task: 'forecasting.readings-0',
  subtopology: 'readings',
  partition: 0,
  phase: 'running',
  phaseAgeMs: 1,
  inputs: [],
  lag: 0,
  lagMs: 0,
  commitAgeMs: 1,
  commits: 1,
  records: 1,
  restored: 1,
  keys: 1,
  restarts: 0,
  stuck: false,
  retentionAtRisk: false,
  error: undefined,
  errorCode: undefined,
};

const bridge: BridgeStatus = {
  session: {
    url: 'mqtt://a',
    clientId: 'c',
    connected: true,
    protocol: '5',
    connections: 1,
    subscribed: true,
    lastError: undefined,
  },
  received: 1,
  redelivered: 0,
  retained: 0,
  acknowledged: 1,
  readings: 1,
  deadLetters: { 'not-json': 2 },
  dropped: { ignored: 3 },
  perSecond: 0,
  inFlight: 0,
  oldestPendingMs: 0,
  pendingMessages: 0,
  pendingBytes: 0,
  appends: 1,
  logDown: false,
  held: false,
  lastTick: NOW,
} as BridgeStatus;

describe('health', () => {
  const of = (change: Partial<TaskStatus>, changeBridge: Partial<BridgeStatus> = {}) =>
    healthOf({ tasks: [{ ...task, ...change }], bridge: { ...bridge, ...changeBridge }, now: NOW });

  it('is degraded while the model in use cannot be served', () => {
    expect(healthOf({ tasks: [task], bridge, championRefused: 'MODEL_UNKNOWN: gone', now: NOW })).toEqual({
      status: 'degraded',
      problems: ['the model in use cannot be served any more: MODEL_UNKNOWN: gone'],
    });
  });

  it('is green while all goes on, and yellow or red with the reason otherwise', () => {
    expect(of({})).toEqual({ status: 'ok', problems: [] });
    expect(healthOf({ tasks: [], bridge, now: NOW }).status).toBe('starting');
    expect(healthOf({ tasks: [], idle: true, bridge, now: NOW })).toEqual({
      status: 'idle',
      problems: ['idle, no partition: other processes have them all, and this one stands by'],
    });
    const wait = { group: 'g', partition: 0, holder: 'p', until: NOW };
    expect(healthOf({ tasks: [], idle: true, waiting: [wait], bridge, now: NOW }).status).toBe('starting');
    expect(of({ phase: 'replaying' }).status).toBe('starting');
    expect(of({ phase: 'backing-off', error: 'disk' })).toEqual({
      status: 'degraded',
      problems: ['forecasting.readings-0 starts again after: disk'],
    });
    expect(of({ stuck: true, error: 'no model' })).toEqual({
      status: 'stuck',
      problems: ['forecasting.readings-0 is stuck: no model'],
    });
    expect(of({ phase: 'failed', error: 'cut' }).status).toBe('stuck');
    expect(of({ retentionAtRisk: true }).status).toBe('stuck');
    expect(of({}, { logDown: true }).status).toBe('degraded');
    expect(of({}, { oldestPendingMs: 20_000 })).toEqual({
      status: 'degraded',
      problems: ['the log does not answer: the oldest message has waited for 20 s'],
    });
    expect(of({}, { session: { ...bridge.session, connected: false, lastError: 'refused' } })).toEqual({
      status: 'degraded',
      problems: ['the bridge is not connected to mqtt://a: refused'],
    });
    for (const connected of [true, false]) {
      expect(
        of({}, { session: { ...bridge.session, connected, lastError: 'x', takenOver: 'another client' } }),
      ).toEqual({
        status: 'degraded',
        problems: ['the bridge: another client'],
      });
    }
    expect(of({}, { lastTick: NOW - 60_000 }).status).toBe('stuck');
  });
});

describe('drops', () => {
  it('shows every reason, also one that nobody has thought of, and says what is kept', () => {
    const drops = dropsOf({
      bridge,
      broker: { 'bad-credentials': 1 },
      nodes: { bucket: { duplicate: 4, 'closed-idle': 9, 'gap-buckets': 9 }, quality: { future: 5, novel: 1 } },
      deadLetters: new Map([['future', 5]]),
    });
    expect(drops).toEqual([
      { where: 'broker', reason: 'bad-credentials', count: 1, kept: false },
      { where: 'bridge', reason: 'not-json', count: 2, kept: true },
      { where: 'bridge', reason: 'ignored', count: 3, kept: false },
      { where: 'bucket', reason: 'duplicate', count: 4, kept: false },
      { where: 'quality', reason: 'future', count: 5, kept: true },
      { where: 'quality', reason: 'novel', count: 1, kept: false },
    ]);
  });

  it('keeps what is noted apart from what is lost', () => {
    const nodes = { score: { 'naive-kept': 7 }, 'next-event': { 'no-model': 3, 'unknown-code': 2 } };
    const drops = dropsOf({ bridge: undefined, broker: {}, nodes, deadLetters: new Map() });
    expect(drops).toEqual([{ where: 'next-event', reason: 'unknown-code', count: 2, kept: false }]);
    expect(notesOf(nodes)).toEqual([
      { where: 'score', reason: 'naive-kept', count: 7 },
      { where: 'next-event', reason: 'no-model', count: 3 },
    ]);
  });

  it('is yellow, not red, while the log is away: that mends by itself', () => {
    const logTrouble = 'readings/0 has not been readable for 40 s: connect ECONNREFUSED';
    const input = { bridge: { ...bridge, lastTick: NOW - 60_000 }, now: NOW, logTrouble };
    const waiting: TaskStatus = { ...task, phase: 'backing-off', stuck: true, error: 'no broker' };
    expect(healthOf({ ...input, tasks: [waiting] })).toMatchObject({
      status: 'degraded',
      problems: [expect.stringContaining(logTrouble), expect.stringContaining('no broker')],
    });
    expect(healthOf({ ...input, tasks: [{ ...task, phase: 'failed' }] }).status).toBe('stuck');
  });
});
