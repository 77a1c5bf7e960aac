import { describe, expect, it } from 'vitest';
import type { Score } from '../events/records.ts';
import { Random } from '../models/random.ts';
import { dieboldMariano, studentCdf } from './diebold-mariano.ts';
import { judgeHoldOut } from './gate.ts';
import { DRIFT_DEFAULTS, PageHinkley } from './page-hinkley.ts';
import { judgeTrial, lookPoints, Trial, type TrialSettings } from './trial.ts';

describe('Diebold–Mariano', () => {
  it('knows Student’s distribution', () => {
    // Quantiles from published tables.
    for (const [t, freedom, expected] of [
      [0, 5, 0.5],
      [1.812, 10, 0.95],
      [2.571, 5, 0.975],
      [12.706, 1, 0.975],
      [-2.571, 5, 0.025],
      [1.96, 1e6, 0.975],
      [2.626, 100, 0.995],
    ] as const) {
      expect(studentCdf(t, freedom)).toBeCloseTo(expected, 4);
    }
  });

  it('agrees with known values', () => {
    // Student's sleep data: for one step ahead the corrected test is his paired t-test, t 4.0621, p 0.002833 two-sided.
    const sleep = [1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4];
    const one = dieboldMariano(sleep, 1);
    expect(one.statistic).toBeCloseTo(4.0621, 4);
    expect(2 * one.p).toBeCloseTo(0.002833, 6);
    // Three steps, Bartlett weights 2/3 and 1/3: worked out with exact fractions; p by numerical integration of the t density.
    const three = dieboldMariano(sleep, 3);
    expect(three.mean).toBeCloseTo(1.58, 12);
    expect(three.statistic).toBeCloseTo(3.4906093518, 9);
    expect(three.p).toBeCloseTo(0.0034118014, 9);
  });

  it('is right as often as it says where nothing differs, also with overlapping horizons', () => {
    let hits = 0;
    const runs = 400;
    for (let run = 0; run < runs; run++) {
      const random = new Random(run, 5);
      const noise = Array.from({ length: 203 }, () => random.normal());
      const differences = Array.from(
        { length: 200 },
        (_, t) => noise[t]! + noise[t + 1]! + noise[t + 2]! + noise[t + 3]!,
      );
      if (dieboldMariano(differences, 4).p <= 0.05) hits++;
    }
    expect(hits / runs).toBeGreaterThan(0.01);
    expect(hits / runs).toBeLessThan(0.12);
  });

  it('sees a difference, and none in no data', () => {
    const random = new Random(2);
    const better = Array.from({ length: 100 }, () => 0.5 + random.normal());
    expect(dieboldMariano(better, 1).p).toBeLessThan(0.001);
    expect(
      dieboldMariano(
        better.map((d) => -d),
        1,
      ).p,
    ).toBeGreaterThan(0.999);
    expect(dieboldMariano([], 24)).toEqual({ mean: 0, statistic: 0, p: 0.5, count: 0 });
    expect(dieboldMariano([1, 1, 1], 2).p).toBe(0);
    expect(dieboldMariano([0, 0, 0], 2).p).toBe(0.5);
  });
});

describe('Page–Hinkley', () => {
  it('keeps still while the error only swings, and tells where a rise began', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed);
      const quiet = new PageHinkley(DRIFT_DEFAULTS);
      for (let t = 0; t < 5000; t++) quiet.add(t, 1 + 0.2 * random.normal() + (t % 700 === 600 ? 10 : 0));
      expect(quiet.change).toBeUndefined();
      const risen = new PageHinkley(DRIFT_DEFAULTS);
      for (let t = 0; t < 400; t++) risen.add(t, (t < 300 ? 1 : 1.6) + 0.2 * random.normal());
      expect(risen.change).toBeGreaterThan(280);
      expect(risen.change).toBeLessThan(310);
    }
  });
});

const settings: TrialSettings = { least: 20, most: 60, margin: 0.03, significance: 0.01, looks: 3 };

function score(time: number, champion: number, challenger: number, device = 'd'): Score {
  const entry = (model: string, role: 'champion' | 'challenger', value: number) => {
    return { model, role, step: 1, value, lower: value, upper: value };
  };
  return {
    type: 'Score',
    device,
    quantity: 'q',
    time,
    actual: 0,
    deviation: 2,
    entries: [
      entry('old', 'champion', champion),
      entry('new', 'challenger', challenger),
      entry('other', 'champion', 99),
    ],
    inputOffset: 0,
  };
}

describe('trial', () => {
  it('decides at the points that are fixed, and only there', () => {
    expect(lookPoints(settings)).toEqual([20, 40, 60]);
    expect(lookPoints({ ...settings, looks: 1 })).toEqual([60]);
    const verdicts = (gain: number) => {
      const random = new Random(3);
      const trial = new Trial('old', 'new', 1);
      const seen = [];
      for (let t = 0; t < 62; t++) {
        const common = 1 + Math.abs(random.normal());
        trial.add(score(t, common + gain + 0.1 * random.normal(), common));
        seen.push(judgeTrial(trial, settings).verdict);
      }
      return seen;
    };
    // The two newest times may still grow.
    expect(verdicts(0.5).slice(0, 21)).toEqual(new Array(21).fill('undecided'));
    expect(verdicts(0.5)[21]).toBe('challenger-better');
    expect(verdicts(-0.5)[21]).toBe('champion-better');
    expect(verdicts(0).slice(-2)).toEqual(['undecided', 'no-difference']);
  });

  it('is wrong no more often than it may be, however often it is asked', () => {
    const runs = 400;
    const wide: TrialSettings = { least: 30, most: 150, margin: 0, significance: 0.1, looks: 5 };
    let decided = 0;
    let onEveryBucket = 0;
    for (let run = 0; run < runs; run++) {
      const random = new Random(run, 11);
      const trial = new Trial('old', 'new', 1);
      let peeked = false;
      for (let t = 0; t < 152; t++) {
        trial.add(score(t, random.normal(), random.normal()));
        if (t < 30) continue;
        const { p } = trial.result();
        peeked ||= p <= wide.significance || 1 - p <= wide.significance;
      }
      if (judgeTrial(trial, wide).verdict !== 'no-difference') decided++;
      if (peeked) onEveryBucket++;
    }
    // Two sides, each with its significance.
    expect(decided / runs).toBeLessThan(2 * wide.significance);
    expect(onEveryBucket / runs).toBeGreaterThan(3 * wide.significance);
  });

  it('ends where nothing, or too little, is ever scored', () => {
    const never = new Trial('old', 'gone', 1);
    const rare = new Trial('old', 'new', 1);
    const verdicts = [];
    for (let t = 0; t < 124; t++) {
      never.add(score(t, 1, 1));
      rare.add(t % 10 === 0 ? score(t, 1, 1) : { ...score(t, 1, 1), entries: [] });
      verdicts.push([judgeTrial(never, settings).verdict, judgeTrial(rare, settings).verdict]);
    }
    expect(verdicts[60]).toEqual(['undecided', 'undecided']);
    expect(verdicts[61]).toEqual(['never-scored', 'undecided']);
    expect(verdicts[122]![1]).toBe('undecided');
    expect(verdicts[123]![1]).toBe('never-scored');
  });

  it('is not decided by one device that delivers late', () => {
    const fleet = (trial: Trial, from: number, to: number) => {
      for (let t = from; t < to; t++)
        for (let d = 0; d < 20; d++) trial.add(score(t, 1 + (d % 3), 1 + (d % 3), `d${d}`));
    };
    const before = new Trial('old', 'new', 1, 99);
    fleet(before, 100, 115);
    for (let t = 0; t < 99; t++) before.add(score(t, 1, 9, 'away'));
    expect([before.times, before.closed]).toEqual([15, 15]);
    // Times of its own, that nobody else has forecasts of.
    const alone = new Trial('old', 'new', 1);
    fleet(alone, 100, 122);
    expect(judgeTrial(alone, settings).verdict).toBe('undecided');
    for (let t = 0; t < 21; t++) alone.add(score(t, 1, 9 + (t % 2), 'away'));
    expect(alone.times).toBe(22);
    expect(judgeTrial(alone, settings)).toMatchObject({ verdict: 'undecided', result: { pairs: 440 } });
  });

  it.each([4, 300])('is not decided by one device with many series, of %i devices', (devices) => {
    const trials = [new Trial('old', 'new', 1), new Trial('old', 'new', 1)];
    const scores: Score[] = [];
    for (let t = 0; t < 22; t++) {
      const noise = 0.1 * new Random(t).normal();
      for (let d = 0; d < devices; d++) scores.push(score(t, 2 + noise, 1, `d${d}`));
      for (let q = 0; q < 50 * devices; q++) scores.push({ ...score(t, 1, 1.5 + noise, 'large'), quantity: `q${q}` });
    }
    for (const one of scores) trials[0]!.add(one);
    for (const one of scores.reverse()) trials[1]!.add(one);
    const [forth, back] = trials.map((trial) => judgeTrial(trial, settings));
    expect(forth!.verdict).toBe('challenger-better');
    expect(back!.verdict).toBe('challenger-better');
    expect(back!.result.mean).toBeCloseTo(forth!.result.mean, 12);
    // One of many, and no more: the large device's loss is a share, not nearly all.
    expect(forth!.result.mean).toBeGreaterThan(0.3);
  });

  it('is not decided by a small part of a large fleet that has times of its own', () => {
    const trial = new Trial('old', 'new', 1);
    const add = (t: number, devices: number) => {
      for (let d = 0; d < devices; d++) trial.add(score(t, 1, 9, `device-${d}`));
    };
    for (let t = 100; t < 110; t++) add(t, 4000);
    for (let t = 0; t < 5; t++) add(t, 900);
    expect(trial.times).toBe(10);
    add(50, 1100);
    expect(trial.times).toBe(11);
  });

  it('does not take a look again that is past', () => {
    const late = () => {
      const trial = new Trial('old', 'new', 1);
      for (let t = 0; t < 22; t++) trial.add(score(t, 1, 1));
      return trial;
    };
    const add = (trial: Trial) => {
      for (let t = 0; t < 20; t++) trial.add(score(t, 1, 9 + (t % 2), 'away'));
      return judgeTrial(trial, settings).verdict;
    };
    const asked = late();
    expect(judgeTrial(asked, settings).verdict).toBe('undecided');
    expect(add(asked)).toBe('undecided');
    expect(add(late())).toBe('champion-better');
  });

  it('does not depend on the order of the scores, and counts pairs only', () => {
    const scores = Array.from({ length: 30 }, (_, t) => score(t >> 1, t, t / 2, `d${t % 2}`));
    const one = new Trial('old', 'new', 4);
    const other = new Trial('old', 'new', 4);
    for (const each of scores) one.add(each);
    for (const each of scores.toReversed()) other.add(each);
    other.add({ ...score(99, 1, 1), entries: [score(99, 1, 1).entries[1]!] });
    expect(one.result()).toEqual(other.result());
    expect(one.result()).toMatchObject({ pairs: 30, count: 15, championMae: 7.25, challengerMae: 3.625 });
  });
});

describe('hold-out', () => {
  const rows = (model: number, champion?: number) => ({
    windows: 10,
    rows: Object.entries({
      model,
      ...(champion === undefined ? {} : { champion }),
      'last-value': 2,
      'seasonal-naive': 1,
    }).map(([name, mae]) => ({ name, mse: mae, mae, maeByStep: [], labels: 1 })),
  });

  it('lets through what beats the naive forecasts and the model in use', () => {
    expect(judgeHoldOut(rows(0.9)).accept).toBe(true);
    expect(judgeHoldOut(rows(1))).toEqual({ accept: false, reason: 'test MAE 1.0000, seasonal-naive has 1.0000' });
    expect(judgeHoldOut(rows(0.9, 0.8)).accept).toBe(false);
    expect(judgeHoldOut(rows(0.7, 0.8)).reason).toBe('test MAE 0.7000 against 0.8000 of champion');
    expect(judgeHoldOut(rows(Number.NaN)).accept).toBe(false);
  });

  it('asks for a margin, for the newer half as well, and for no larger squared errors', () => {
    const make = (mae: number, recentMae: number, mse: number) => ({
      windows: 10,
      rows: [
        { name: 'model', mse, mae, recentMae, maeByStep: [], labels: 10 },
        { name: 'last-value', mse: 4, mae: 2, recentMae: 1.5, maeByStep: [], labels: 10 },
        { name: 'seasonal-naive', mse: 2, mae: 1, recentMae: 1.8, maeByStep: [], labels: 10 },
      ],
    });
    expect(judgeHoldOut(make(0.9, 1.4, 2)).accept).toBe(true);
    expect(judgeHoldOut(make(0.97, 1.4, 2)).accept).toBe(false);
    expect(judgeHoldOut(make(0.9, 1.6, 2)).reason).toContain('newer half, where last-value has 1.5');
    expect(judgeHoldOut(make(0.9, 1.4, 2.3)).reason).toContain('MSE 2.3000, seasonal-naive has 2.0000');
  });
});
