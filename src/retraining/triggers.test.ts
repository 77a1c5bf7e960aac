import { describe, expect, it } from 'vitest';
import type { ModelEvent } from '../events/records.ts';
import { ModelLine } from './model-line.ts';
import { TRIGGER_DEFAULTS, type TriggerSettings, trainingDue } from './triggers.ts';

const HOUR = 3_600_000;
const settings: TriggerSettings = { ...TRIGGER_DEFAULTS, firstAfter: 100, every: 200, driftAfter: 30 };

function lineWith(...events: [ModelEvent['kind'], object?][]): ModelLine {
  const line = new ModelLine('default');
  for (const [kind, details = {}] of events) {
    const modelId = kind === 'requested' || kind === 'failed' ? '' : 'a';
    const event = { name: 'default', kind, modelId, time: 10 * HOUR, reason: '' };
    line.apply({ type: 'ModelEvent', ...event, details: JSON.stringify(details) });
  }
  return line;
}

const asked = (buckets: number, more: object = {}) => ({
  buckets,
  total: 2 * buckets,
  seriesCount: 8,
  from: null,
  ...more,
});
const served = (...more: [ModelEvent['kind'], object?][]) =>
  lineWith(['requested', asked(100)], ['trained', { cpuMs: 60_000 }], ['promoted'], ...more);
const extent = (buckets: number, series = 8, total = 2 * buckets) => ({ buckets, total, series, end: buckets * HOUR });

describe('triggers', () => {
  it('say why, one at a time', () => {
    const none = lineWith();
    expect(trainingDue(none, extent(99), settings, HOUR, 0)).toBeUndefined();
    expect(trainingDue(none, extent(100), settings, HOUR, 0)?.reason).toBe('first model: 100 buckets of history');
    expect(trainingDue(lineWith(['requested', asked(100)]), extent(900), settings, HOUR, 0)).toBeUndefined();
    expect(trainingDue(served(), extent(299), settings, HOUR, 0)).toBeUndefined();
    expect(trainingDue(served(), extent(300), settings, HOUR, 0)?.reason).toBe('200 new buckets');
    expect(trainingDue(served(['shadowed']), extent(300), settings, HOUR, 0)).toBeUndefined();
  });

  it('count in event time, also where the longest series have ended', () => {
    const line = lineWith(['requested', asked(100, { end: 500 * HOUR })], ['trained'], ['promoted']);
    const ended = (end: number) => ({ ...extent(100), end: end * HOUR });
    expect(trainingDue(line, ended(699), settings, HOUR, 0)).toBeUndefined();
    expect(trainingDue(line, ended(700), settings, HOUR, 0)?.reason).toBe('200 new buckets');
    // A series that begins with years of history makes the longest longer, and no time has passed.
    expect(trainingDue(line, { ...ended(500), buckets: 9_000 }, settings, HOUR, 0)).toBeUndefined();
  });

  it('are coalesced, and keep a pause', () => {
    const all = { ...settings, newBuckets: 100 };
    const due = trainingDue(served(), extent(300, 12), all, HOUR, 0);
    expect(due?.reason).toBe('200 new buckets, 400 new buckets of all series, 4 of 12 series are new');
    expect(trainingDue(served(), extent(110, 12), all, HOUR, 0)).toBeUndefined();
    expect(trainingDue(served(), extent(130, 12), all, HOUR, 0)?.reason).toBe('4 of 12 series are new');
    expect(trainingDue(served(), extent(130, 10), all, HOUR, 0)).toBeUndefined();
  });

  it('try a drift on what came since, ever more rarely, while the schedule goes on', () => {
    const since = 50 * HOUR;
    const drift = (buckets: number) => ({ since, buckets });
    expect(trainingDue(served(), extent(160), settings, HOUR, 0, drift(29))).toBeUndefined();
    expect(trainingDue(served(), extent(160), settings, HOUR, 0, drift(30))).toMatchObject({ from: since });
    const again = served(['requested', asked(160, { from: since })], ['failed']);
    expect(trainingDue(again, extent(200), settings, HOUR, 0, drift(59))).toBeUndefined();
    expect(trainingDue(again, extent(200), settings, HOUR, 0, drift(60))).toMatchObject({ from: since });
    expect(trainingDue(again, extent(300), settings, HOUR, 0, drift(150))).toEqual({ reason: '200 new buckets' });
  });

  it('keep to the budget of a day', () => {
    const tight = { ...settings, budgetMs: 60_000 };
    expect(trainingDue(served(), extent(300), tight, HOUR, 11 * HOUR)).toBeUndefined();
    expect(trainingDue(served(), extent(300), { ...tight, budgetMs: 60_001 }, HOUR, 11 * HOUR)).toBeDefined();
    expect(trainingDue(served(), extent(300), tight, HOUR, 35 * HOUR)).toBeDefined();
  });

  it('leave what was trained by hand to whoever did it', () => {
    const line = served(['requested', { ...asked(400), byHand: true }]);
    expect([line.open, line.request?.buckets]).toEqual([undefined, 100]);
    line.apply({
      type: 'ModelEvent',
      name: 'default',
      kind: 'trained',
      modelId: 'by-hand',
      time: 0,
      reason: '',
      details: '{"byHand":true}',
    });
    expect(line.undecided).toBeUndefined();
  });
});
