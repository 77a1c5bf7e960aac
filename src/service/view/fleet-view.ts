import { Rate } from '../../bridges/rate.ts';
import type { Alert, DeadLetter, Forecast, ModelEvent, Score } from '../../events/records.ts';
import { ErrorTable, isModel, type ModelError } from './error-table.ts';
import { ModelHistory } from './model-history.ts';
import { type Point, PointRing } from './ring.ts';

/** Bounds of the view: what goes beyond them is not shown, and `overflow` says how much that is. */
export interface ViewLimits {
  readonly devices: number;
  readonly series: number;
  /** Buckets that are kept of each series. */
  readonly points: number;
  /** Last dead letters and alerts that are kept whole. */
  readonly recent: number;
}

export const VIEW_LIMITS: ViewLimits = { devices: 20_000, series: 50_000, points: 240, recent: 200 };

/** Series beyond these have no points, only their last forecast: bounds the memory to about 60 MB. */
const RINGS = 10_000;

export interface SeriesView {
  readonly quantity: string;
  ring: PointRing | undefined;
  forecast: Forecast | undefined;
  last: number;
  /** Half-open: start of the last closed bucket, 0 before the first. */
  lastTime: number;
  alerts: number;
}

export interface DeviceView {
  readonly name: string;
  /** Ingest time of the last reading. */
  lastSeen: number;
  readings: number;
  alerts: number;
  deadLetters: number;
  readonly series: Map<string, SeriesView>;
}

export interface RecentDeadLetter extends DeadLetter {
  /** Offset on topic `dead-letters`. */
  readonly at: number;
}

/**
 * What the page shows: a bounded view, folded from the output topics of the log and nothing else. Given the same records
 * it is the same in every process.
 */
export class FleetView {
  readonly limits: ViewLimits;
  readonly devices = new Map<string, DeviceView>();
  readonly errors = new ErrorTable();
  readonly models = new ModelHistory();
  /** All on the log, by reason. */
  readonly deadLetterReasons = new Map<string, number>();
  readonly deadLetters: RecentDeadLetter[] = [];
  readonly alerts: Alert[] = [];
  readonly modelEvents: ModelEvent[] = [];
  /** Live forecasts by the model that made them. */
  readonly forecastsByModel = new Map<string, number>();
  readonly readings: Rate;
  readonly forecasts: Rate;
  readonly scores: Rate;
  /** Live alerts. */
  alertCount = 0;
  /** Live dead letters. */
  deadLetterCount = 0;
  /** Records that found no room in the view. */
  overflow = 0;
  #series = 0;
  #rings = 0;
  #champion = '';

  constructor(now: () => number, limits: Partial<ViewLimits> = {}) {
    this.limits = { ...VIEW_LIMITS, ...limits };
    this.readings = new Rate(now);
    this.forecasts = new Rate(now);
    this.scores = new Rate(now);
  }

  get seriesCount(): number {
    return this.#series;
  }

  /** Errors while today's champion served. */
  modelErrors(): ModelError[] {
    return this.errors.list(this.#champion);
  }

  /** @param live came after this process began to follow the log: only then does it count in rates and totals. */
  onReading(device: string, ingestTime: number, live = true): void {
    if (live) this.readings.add(1);
    const view = this.#device(device);
    if (view === undefined) return;
    view.readings += 1;
    view.lastSeen = Math.max(view.lastSeen, ingestTime);
  }

  onForecast(forecast: Forecast, live = true): void {
    const { model } = forecast;
    if (live) {
      this.forecasts.add(1);
      this.forecastsByModel.set(model, (this.forecastsByModel.get(model) ?? 0) + 1);
    }
    const series = this.#seriesOf(forecast.device, forecast.quantity);
    if (series !== undefined) series.forecast = forecast;
  }

  onScore(score: Score, live = true): void {
    if (live) this.scores.add(1);
    this.#champion = score.entries.find(isModel)?.model ?? this.#champion;
    this.errors.add(score);
    this.models.add(score);
    const series = this.#seriesOf(score.device, score.quantity);
    if (series === undefined) return;
    if (series.ring === undefined && this.#rings < RINGS) {
      series.ring = new PointRing(this.limits.points);
      this.#rings += 1;
    }
    const first = score.entries.filter((entry) => entry.step === 1);
    const served = first.find((entry) => entry.role === 'champion') ?? first[0];
    series.ring?.put({
      time: score.time,
      actual: score.actual,
      expected: served?.value ?? Number.NaN,
      lower: served?.lower ?? Number.NaN,
      upper: served?.upper ?? Number.NaN,
    });
    if (score.time >= series.lastTime) {
      series.lastTime = score.time;
      series.last = score.actual;
    }
  }

  onAlert(alert: Alert, live = true): void {
    keep(this.alerts, alert, this.limits.recent);
    if (live) this.alertCount += 1;
    const device = this.#device(alert.device);
    if (device !== undefined) device.alerts += 1;
    const series = this.#seriesOf(alert.device, alert.quantity);
    if (series !== undefined) series.alerts += 1;
  }

  onDeadLetter(letter: DeadLetter, offset: number, live = true): void {
    const { reason } = letter;
    if (live) this.deadLetterCount += 1;
    this.deadLetterReasons.set(reason, (this.deadLetterReasons.get(reason) ?? 0) + 1);
    // The page shows an excerpt; the whole payload is on the log.
    keep(this.deadLetters, { ...letter, payload: letter.payload.subarray(0, 512), at: offset }, this.limits.recent);
    const device = this.devices.get(letter.device);
    if (device !== undefined) device.deadLetters += 1;
  }

  onModelEvent(event: ModelEvent): void {
    keep(this.modelEvents, event, this.limits.recent);
  }

  points(device: string, quantity: string, count?: number): Point[] {
    return this.devices.get(device)?.series.get(quantity)?.ring?.points(count) ?? [];
  }

  #device(name: string): DeviceView | undefined {
    let device = this.devices.get(name);
    if (device === undefined) {
      if (this.devices.size >= this.limits.devices) {
        this.overflow += 1;
        return undefined;
      }
      device = { name, lastSeen: 0, readings: 0, alerts: 0, deadLetters: 0, series: new Map() };
      this.devices.set(name, device);
    }
    return device;
  }

  #seriesOf(name: string, quantity: string): SeriesView | undefined {
    const device = this.#device(name);
    let series = device?.series.get(quantity);
    if (device !== undefined && series === undefined) {
      if (this.#series >= this.limits.series) {
        this.overflow += 1;
        return undefined;
      }
      series = { quantity, ring: undefined, forecast: undefined, last: Number.NaN, lastTime: 0, alerts: 0 };
      device.series.set(quantity, series);
      this.#series += 1;
    }
    return series;
  }
}

function keep<T>(list: T[], item: T, limit: number): void {
  list.push(item);
  if (list.length > limit) list.splice(0, list.length - limit);
}
