import { FleetcastError } from '../../src/errors.ts';
import type { Forecast } from '../../src/events/records.ts';
import type { PageSource } from '../../src/service/http/page-source.ts';
import { NO_TRAINING, type ServiceStatus } from '../../src/service/status.ts';
import { FleetView } from '../../src/service/view/fleet-view.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2026, 0, 5);
const MODEL = '9f3c51d2a4b6e8f00112233445566778899aabbccddeeff00112233445566778';

export interface Sample {
  readonly source: PageSource;
  /** Closes the next bucket of every series. */
  step(): void;
}

/** A fleet that is only a view: for tests of the page and of the interfaces that serve it. */
export function sampleSource(options: { devices: number; health?: 'ok' | 'stuck'; hours?: number }): Sample {
  const view = new FleetView(Date.now);
  let hour = 0;
  const names = Array.from({ length: options.devices }, (_, i) => `device-${String(i).padStart(2, '0')}`);
  const wave = (device: number, at: number) =>
    20 + (device % 7) + 5 * Math.sin((at + device) / 3.82) + Math.sin(at * 1.7 + device);
  const step = () => {
    names.forEach((device, i) => {
      view.onReading(device, i % 17 === 16 ? Date.now() - 300_000 : Date.now());
      for (const [j, quantity] of ['temperature', 'humidity'].entries()) {
        const actual = wave(i + j * 3, hour);
        const entry = (model: string, role: 'champion' | 'baseline', off: number) =>
          ({ model, role, step: 1, value: actual + off, lower: actual - 2, upper: actual + 2 }) as const;
        view.onScore({
          type: 'Score',
          device,
          quantity,
          time: START + hour * HOUR,
          actual,
          deviation: 4,
          entries: [
            entry(MODEL, 'champion', 0.6 * Math.sin(hour)),
            entry('last-value', 'baseline', 2 * Math.cos(hour)),
            entry('seasonal-naive', 'baseline', 1.2 * Math.sin(hour * 2)),
          ],
          inputOffset: hour,
        });
        const ahead = Array.from({ length: 24 }, (_, k) => wave(i + j * 3, hour + 1 + k));
        view.onForecast({
          type: 'Forecast',
          device,
          quantity,
          origin: START + (hour + 1) * HOUR,
          interval: HOUR,
          values: ahead,
          lower: ahead.map((value, k) => value - 1 - k / 12),
          upper: ahead.map((value, k) => value + 1 + k / 12),
          level: 0.9,
          model: MODEL,
          inputOffset: hour,
          arithmetic: 1,
        } satisfies Forecast);
      }
    });
    hour += 1;
  };
  for (let i = 0; i < (options.hours ?? 30); i++) step();
  for (const reason of ['not-json', 'future']) {
    view.onDeadLetter(
      {
        type: 'DeadLetter',
        reason,
        message: reason === 'future' ? 'two hours ahead' : '"{\\"broken" is not JSON',
        time: START,
        origin: 'mqtt',
        mqttTopic: 'fleet/device-01',
        partition: 0,
        offset: -1,
        device: 'device-01',
        payload: Buffer.from('{"broken'),
      },
      reason === 'future' ? 0 : 1,
    );
  }
  view.deadLetters.reverse();
  const source: PageSource = {
    view,
    status: () => status(view, options.health ?? 'ok'),
    describe: () => ({ text: 'readings -> quality', mermaid: 'flowchart LR' }),
    models: async () => [
      {
        id: MODEL,
        name: 'default',
        family: 'segment-lstm',
        status: 'champion',
        createdAt: START,
        reason: 'test MAE 0.31 against 0.44 of seasonal-naive',
        metrics: { 'test.mae': 0.31, 'test.mae.seasonal-naive': 0.44 },
        trainedOn: trainedOn(START),
        life: [
          { kind: 'trained', time: START, reason: '720 new buckets' },
          { kind: 'shadowed', time: START + HOUR, reason: 'test MAE 0.31 against 0.44 of seasonal-naive' },
          { kind: 'promoted', time: START + 5 * HOUR, reason: 'challenger-better: MAE 0.30 against 0.35, p 0.004' },
        ],
        live: view.models.track(MODEL),
      },
      {
        id: MODEL.replace('9f', '00'),
        name: 'default',
        family: 'ridge',
        status: 'replaced',
        createdAt: START - HOUR,
        reason: 'by hand',
        metrics: { 'test.mae': 0.35 },
        trainedOn: trainedOn(START - HOUR),
        life: [{ kind: 'trained', time: START - HOUR, reason: 'by hand' }],
        live: undefined,
      },
    ],
    promote: async (id) => {
      if (id !== MODEL) throw new FleetcastError('MODEL_UNKNOWN', `no model ${id}`);
      return id;
    },
    retire: async (id) => id,
    train: async ({ series = [] }) => `asked for ${series.join()}`,
    explain: async (device, quantity) => {
      if (device === '') throw new FleetcastError('USAGE', `there is no forecast of ${device}/${quantity}`);
      return { text: `forecast   ${device} ${quantity}\nmade again identical, bit for bit`, explanation: {} as never };
    },
    rollBack: async () => MODEL,
    state: (node, store) => {
      if (node !== 'bucket') throw new FleetcastError('USAGE', `no node ${node}/${store}`);
      const value = { ring: Float64Array.of(1, 2), seen: new Map([['a', 1]]) };
      const find = async (key: string) => {
        if (key === 'device-slow') throw new FleetcastError('STATE_TIMEOUT', 'task g.in-1 has not answered in time');
        return key === 'device-01' ? { value, partition: 0, likely: true } : undefined;
      };
      return {
        find,
        get: async (key) => (await find(key))?.value,
        range: async ({ from = '', limit = 10 } = {}) =>
          ['device-01', 'device-02', 'device-03']
            .filter((key) => key >= from)
            .slice(0, limit)
            .map((key) => ({ key, partition: 0, value })),
      };
    },
    metrics: async () => ({ type: 'text/plain', body: 'fleetcast_up 1\n' }),
  };
  return { source, step };
}

function status(view: FleetView, health: 'ok' | 'stuck'): ServiceStatus {
  return {
    version: '0.0.0',
    startedAt: START,
    now: Date.now(),
    log: { kind: 'embedded', where: '/tmp/unbreakable_name_of_a_data_folder_that_is_longer_than_a_telephone_is_wide' },
    health: { status: health, problems: health === 'ok' ? [] : ['task 0 has not committed for 60 s'] },
    bridge: {
      url: 'mqtt://127.0.0.1:1883',
      connected: true,
      received: 5120,
      acknowledged: 5118,
      perSecond: 12,
      pending: 2,
      pendingBytes: 300,
      oldestPendingMs: 4,
      inFlight: 2,
      redelivered: 0,
      retained: 0,
      connections: 1,
      takeovers: 0,
      sessionsLost: 0,
      brokerDropped: undefined,
      logDown: false,
      held: false,
    },
    tasks: [0, 1, 2, 3].map((partition) => ({
      task: `forecasting-${partition}`,
      partition,
      state: 'running',
      offset: 1234,
      restored: 1,
      lag: partition,
      lagMs: 0,
      commitAge: 120,
      stuck: health === 'stuck' && partition === 0,
      error: '',
    })),
    waiting: [],
    standbys: [],
    threadRestarts: 0,
    rates: { readings: 104, forecasts: 176 },
    totals: {
      devices: view.devices.size,
      series: view.seriesCount,
      readings: view.readings.total,
      forecasts: view.forecasts.total,
      scores: view.scores.total,
      alerts: 0,
      deadLetters: view.deadLetterCount,
    },
    onLog: { deadLetters: view.deadLetters.length },
    drops: [
      { where: 'bridge', reason: 'not-json', count: 31, kept: true },
      { where: 'bridge', reason: 'missing-field', count: 17, kept: true },
      { where: 'quality', reason: 'duplicate', count: 204, kept: false },
    ],
    notes: [{ where: 'score', reason: 'naive-kept', count: 3120 }],
    model: {
      id: MODEL,
      name: 'default',
      family: 'segment-lstm',
      since: START,
      metrics: { 'test.mae': 0.31 },
      errors: view.modelErrors(),
      forecasts: Object.fromEntries(view.forecastsByModel),
    },
    training: {
      ...NO_TRAINING,
      state: 'training',
      message: '84,000 windows of 88 series',
      epoch: 3,
      epochs: 8,
      step: 812,
      steps: 2000,
      loss: 0.38,
      validationLoss: 0.41,
      remainingMs: 21_000,
      losses: [0.72, 0.5, 0.43, 0.41],
    },
  };
}

function trainedOn(until: number) {
  const ranges = [{ topic: 'history', partition: 0, from: 0, to: 412 }];
  return { ranges, until, windows: 9000, seed: 1, trainer: 'kernel 1', parent: '' };
}
