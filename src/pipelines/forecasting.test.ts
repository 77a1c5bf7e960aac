import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activation, HOUR, reading, ridgeArtefact, type TestModel, testModel } from '../../test/readings.ts';
import { encodeRecord } from '../events/codec.ts';
import type { Alert, DeadLetter, FleetRecord, Forecast, HistorySegment, Score } from '../events/records.ts';
import { Random } from '../models/random.ts';
import { TopologyTestDriver } from '../topology/test-driver.ts';
import { activationPreparer, type ModelSource } from './activation.ts';
import { forecastingTopology } from './forecasting.ts';
import { type PipelineConfig, pipelineConfig } from './pipeline-config.ts';

const T0 = Date.UTC(2026, 0, 1);
const shape = { lookback: 12, horizon: 6, season: 4 };
const config = pipelineConfig({ shape, idle: 3 * HOUR, correctFor: 6 * HOUR, scaleLength: 20, segment: 8 });
const models = [1, 2, 3].map((seed) => testModel(ridgeArtefact(seed, shape)));
const source: ModelSource = {
  async load(id) {
    return models.find(({ model }) => model.id === id) ?? Promise.reject(new Error('not there'));
  },
};

function start(change: Partial<PipelineConfig> = {}, cut?: () => boolean): TopologyTestDriver {
  return new TopologyTestDriver(
    forecastingTopology({ ...config, ...change }, source),
    cut === undefined ? {} : { cut },
  );
}

/** Item `n` of a seeded stream of three devices with all that can go wrong, with hourly ticks. */
function stream(seed: number, length: number): { key: string | null; record: FleetRecord; time: number }[] {
  const random = new Random(seed);
  const items: { key: string | null; record: FleetRecord; time: number }[] = [];
  let now = T0 + 400 * HOUR;
  for (let n = 0; n < length; n++) {
    now += Math.floor(random.uniform() * 1000);
    const step = Math.floor(n / 6);
    const device = `d${random.below(3)}`;
    const roll = random.uniform();
    let time = T0 + step * 0.5 * HOUR + Math.floor(random.uniform() * 600_000);
    if (roll < 0.03) time -= 5 * HOUR;
    if (roll > 0.98) time = now + 24 * HOUR;
    const value = Math.sin((time / HOUR / 4) * 2 * Math.PI) * 5 + 20 + random.normal();
    const values: Record<string, number> = roll > 0.4 ? { a: value, b: 7 } : { a: value };
    items.push({ key: device, record: reading(device, time, values), time: now });
    if (roll > 0.9) items.push(items.at(-1)!);
    if (n % 20 === 19) items.push({ key: null, record: { type: 'Tick', time: now }, time: now });
  }
  return items;
}

async function play(
  items: ReturnType<typeof stream>,
  swaps: ReadonlyMap<number, { model: TestModel | undefined; role: 'champion' | 'challenger' }>,
  cut?: () => boolean,
  crashes: ReadonlySet<number> = new Set(),
): Promise<TopologyTestDriver> {
  const driver = start({ levels: [0.95, 0.5, 0.9] }, cut);
  await driver.ready();
  const prepare = activationPreparer(['default'], source);
  for (const [n, { key, record, time }] of items.entries()) {
    const swap = swaps.get(n);
    if (swap !== undefined) {
      const value = activation(swap.model?.model.id ?? '', swap.role);
      driver.broadcast(await prepare(value, new AbortController().signal));
    }
    if (crashes.has(n)) await driver.restart();
    driver.pipeBytes('readings', key, encodeRecord(record), time);
  }
  driver.tick(items.at(-1)!.time + 10 * HOUR);
  driver.tick(items.at(-1)!.time + 11 * HOUR);
  return driver;
}

const swaps = new Map([
  [120, { model: models[0], role: 'champion' as const }],
  [200, { model: models[1], role: 'challenger' as const }],
  [300, { model: models[1], role: 'champion' as const }],
  [301, { model: models[0], role: 'challenger' as const }],
  [400, { model: undefined, role: 'challenger' as const }],
]);

describe('forecasting topology', () => {
  it('describes itself', () => {
    expect([...forecastingTopology(config, source).nodes.keys()]).toEqual([
      'readings',
      'quality',
      'bucket',
      'dead-letters',
      'history',
      'history-log',
      'normalise',
      'forecast',
      'score',
      'forecasts',
      'scores',
      'alert',
      'alerts',
    ]);
  });

  it('forecasts, scores and keeps history', async () => {
    const driver = await play(stream(1, 500), swaps);
    const forecasts = driver.values<Forecast>('forecasts');
    const used = new Set(forecasts.map(({ model }) => model));
    expect(used).toEqual(
      new Set([
        'last-value',
        'seasonal-naive',
        'naive-mix',
        `ridge:${models[0]!.model.id}`,
        `ridge:${models[1]!.model.id}`,
      ]),
    );
    for (const forecast of forecasts) {
      expect(forecast.values).toHaveLength(6);
      expect([...forecast.values, ...forecast.lower, ...forecast.upper].every(Number.isFinite)).toBe(true);
      expect(forecast.values.every((value, h) => forecast.lower[h]! <= value && value <= forecast.upper[h]!)).toBe(
        true,
      );
      // Of the further levels, the one of the main interval is left out.
      const [half, most] = forecast.intervals!;
      expect(forecast.intervals!.map(({ level }) => level)).toEqual([0.5, 0.95]);
      for (let h = 0; h < 6; h++) {
        const bounds = [most!.lower, forecast.lower, half!.lower, half!.upper, forecast.upper, most!.upper];
        const inOrder = bounds.map((bound) => bound[h]!);
        expect(inOrder).toEqual([...inOrder].sort((x, y) => x - y));
      }
    }
    expect(forecasts.some(({ intervals, upper }) => intervals![1]!.upper[5]! > upper[5]!)).toBe(true);
    // Each origin of a series once, in order.
    for (const device of ['d0', 'd1', 'd2']) {
      for (const quantity of ['a', 'b']) {
        const origins = forecasts.filter((f) => f.device === device && f.quantity === quantity).map((f) => f.origin);
        expect(origins).toEqual([...new Set(origins)].sort((x, y) => x - y));
      }
    }
    // Every score compares a forecast that went out with the bucket that history holds.
    const scores = driver.values<Score>('scores');
    expect(scores.length).toBeGreaterThan(40);
    let kept = 0;
    for (const score of scores) {
      for (const entry of score.entries.filter(({ role }) => role === 'champion')) {
        const origin = score.time - (entry.step - 1) * HOUR;
        const made = forecasts.find(
          (f) => f.device === score.device && f.quantity === score.quantity && f.origin === origin,
        )!;
        // The guard kept the naive forecast in its place: the model goes on being scored.
        if (made.model !== entry.model) {
          expect(['last-value', 'seasonal-naive']).toContain(made.model);
          kept++;
          continue;
        }
        expect([made.model, made.values[entry.step - 1]]).toEqual([entry.model, entry.value]);
        expect(made.lower[entry.step - 1]).toBe(entry.lower);
        expect(made.upper[entry.step - 1]).toBe(entry.upper);
      }
    }
    // Random weights are worse than any naive forecast.
    expect(kept).toBeGreaterThan(0);
    expect(driver.counts.get('score', 'naive-kept')).toBeGreaterThan(0);
    const roles = new Set(scores.flatMap(({ entries }) => entries.map(({ role }) => role)));
    expect(roles).toEqual(new Set(['champion', 'challenger', 'baseline']));
    const letters = driver.values<DeadLetter>('dead-letters');
    expect(new Set(letters.map(({ reason }) => reason))).toEqual(new Set(['future']));
    expect(driver.counts.get('bucket', 'duplicate')).toBeGreaterThan(0);
    expect(driver.counts.get('bucket', 'late-corrected')).toBeGreaterThan(0);
    expect(driver.counts.get('forecast', 'activated')).toBe(5);
    const segments = driver.values<HistorySegment>('history-log');
    const newest = new Map(
      segments.map((segment) => [`${segment.device}/${segment.quantity}/${segment.start}`, segment]),
    );
    const closed = [...newest.values()].flatMap(({ values }) => values.filter((value) => !Number.isNaN(value)));
    // Every bucket that was forecast from is in the history.
    expect(closed.length).toBeGreaterThanOrEqual(forecasts.length);
  });

  it('covers with every interval what its level promises', async () => {
    const driver = start({ levels: [0.5, 0.8, 0.95] });
    const random = new Random(6);
    const values = Array.from({ length: 1500 }, (_, hour) => Math.sin((hour / 4) * 2 * Math.PI) + random.normal());
    for (const [hour, a] of values.entries()) {
      const time = T0 + hour * HOUR;
      driver.pipe('readings', 'd', reading('d', time, { a }), time, time);
    }
    const inside: Record<number, number> = { 0.5: 0, 0.8: 0, 0.9: 0, 0.95: 0 };
    const forecasts = driver.values<Forecast>('forecasts').slice(100, -6);
    expect(forecasts.length).toBeGreaterThan(1300);
    for (const { origin, lower, upper, level, intervals } of forecasts) {
      for (const one of [...intervals!, { level, lower, upper }]) {
        for (let h = 0; h < 6; h++) {
          const actual = values[(origin - T0) / HOUR + h]!;
          if (one.lower[h]! <= actual && actual <= one.upper[h]!) inside[one.level]! += 1 / (6 * forecasts.length);
        }
      }
    }
    for (const [level, share] of Object.entries(inside)) {
      expect(Math.abs(share - Number(level)), level).toBeLessThan(0.02);
    }
  });

  it('swaps the model at its place, not where the batch ends', async () => {
    const items = stream(2, 300);
    const one = await play(items, new Map([[150, { model: models[2], role: 'champion' }]]), () => false);
    const forecasts = one.values<Forecast>('forecasts');
    const firstOffset = forecasts.find(({ model }) => model.startsWith('ridge'))!.inputOffset;
    expect(firstOffset).toBeGreaterThan(150);
    expect(forecasts.filter(({ model, inputOffset }) => model.startsWith('ridge') && inputOffset < 150)).toEqual([]);
  });

  it('gives the same bytes however it is cut and wherever it restarts', async () => {
    const items = stream(3, 450);
    const expected = bytes(await play(items, swaps));
    expect(expected.length).toBeGreaterThan(200);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 11 }),
        fc.array(fc.nat({ max: 449 }), { maxLength: 3 }),
        async (cuts, crashes) => {
          let i = 0;
          const driver = await play(items, swaps, () => cuts[i++ % cuts.length]!, new Set(crashes));
          expect(bytes(driver)).toEqual(expected);
        },
      ),
      { numRuns: 12 },
    );
  });

  it('alerts once for an excursion', async () => {
    const driver = start({ alert: { margin: 1, warmUp: 10, calm: 3 } });
    const random = new Random(5);
    for (let hour = 0; hour < 80; hour++) {
      const odd = hour === 50 || hour === 51 ? 60 : 0;
      const time = T0 + hour * HOUR;
      driver.pipe('readings', 'd', reading('d', time, { a: 10 + random.normal() + odd }), time, time);
    }
    const alerts = driver.values<Alert>('alerts').map(({ time, actual }) => [(time - T0) / HOUR, actual > 60]);
    expect(alerts).toContainEqual([50, true]);
    expect(alerts.filter(([hour]) => Number(hour) < 50)).toEqual([]);
    expect(alerts.length).toBeLessThanOrEqual(2);
  });

  it('refuses models that do not fit, and takes no notice of other lines', async () => {
    const driver = start();
    const other = testModel(ridgeArtefact(9, { ...shape, horizon: 3 }));
    driver.broadcast({ activation: activation(other.model.id), served: other, refusal: '' });
    driver.broadcast({ activation: activation('x'), served: undefined, refusal: 'damaged' });
    driver.broadcast({ activation: activation('x', 'champion', 'else'), served: undefined, refusal: '' });
    driver.run();
    expect(driver.counts.get('forecast', 'activation-refused')).toBe(2);
    expect(driver.counts.get('forecast', 'activation-of-another-line')).toBe(1);
  });

  it('goes on after undecodable bytes', async () => {
    const driver = start();
    driver.pipeBytes('readings', 'd', Buffer.from('{"json":1}'), T0);
    driver.pipeBytes('readings', 'd', null, T0);
    driver.pipeBytes('readings', null, encodeRecord(reading('d', T0, { a: 1 })), T0);
    expect(driver.deadLetters().map(({ reason }) => reason)).toEqual(['undecodable']);
    driver.tick(T0 + 10 * HOUR);
    expect(driver.values<Forecast>('forecasts').map(({ device, model }) => [device, model])).toEqual([
      ['d', 'last-value'],
    ]);
  });
});

function bytes(driver: TopologyTestDriver): string[] {
  const topics = Object.values(config.topics);
  return topics.flatMap((topic) => driver.outputs(topic).map(({ key, value }) => `${topic} ${hex(key)} ${hex(value)}`));
}

function hex(part: Uint8Array | null): string {
  return part === null ? '' : Buffer.from(part).toString('hex');
}
