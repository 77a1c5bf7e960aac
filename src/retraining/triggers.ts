import type { ModelLine } from './model-line.ts';
import type { TrainingRequest } from './request.ts';

export interface TriggerSettings {
  /** Buckets of the longest series before the first training. */
  readonly firstAfter: number;
  /** Buckets of event time between trainings, by the newest of any series. 0 trains once. */
  readonly every: number;
  /** New buckets of all series together; 0 never. */
  readonly newBuckets: number;
  /** Share of the series that came since the last training and are long enough for a window; 0 never. */
  readonly newSeries: number;
  /** Buckets after the beginning of a drift before a training on what came since is tried, and between tries; 0 never. */
  readonly driftAfter: number;
  /** Least buckets of event time between any two trainings that nobody asked for by hand. */
  readonly pause: number;
  /** Most processor time of trainings within a day, milliseconds; 0 is no limit. */
  readonly budgetMs: number;
}

export const TRIGGER_DEFAULTS: Omit<TriggerSettings, 'firstAfter' | 'every' | 'driftAfter'> = {
  newBuckets: 0,
  newSeries: 0.25,
  pause: 24,
  budgetMs: 0,
};

export const DAY_MS = 86_400_000;

export interface Due {
  readonly reason: string;
  /** Event time of the first bucket to train on; all history where left out. */
  readonly from?: number;
}

/** What a lasting rise of the champion's error looks like. */
export interface Drift {
  /** Event time at which it began. */
  readonly since: number;
  /** Buckets since then. */
  readonly buckets: number;
}

/** How far the history has come. */
export interface Extent {
  /** Buckets of the longest series. */
  readonly buckets: number;
  /** Buckets of all series. */
  readonly total: number;
  /** Series that are long enough for a window. */
  readonly series: number;
  /** Event time at which the newest bucket of any series ends; −∞ where there is none. */
  readonly end: number;
}

/**
 * Why a training is due, or undefined. One thing at a time: nothing is asked for while a training is open, a model is
 * undecided or a challenger in shadow, so that triggers are coalesced; all that hold at the same time are named.
 * @param interval of a bucket, milliseconds. @param now for the budget, milliseconds since the epoch
 * @param champion empty also where that of the line cannot be served
 */
export function trainingDue(
  line: ModelLine,
  extent: Extent,
  settings: TriggerSettings,
  interval: number,
  now: number,
  drift?: Drift,
  champion = line.champion,
): Due | undefined {
  if (line.open !== undefined || line.undecided !== undefined || line.challenger !== '') return undefined;
  if (budgetLeft(line, settings, now) <= 0) return undefined;
  const { buckets, total, series } = extent;
  // Of event time, whichever series it comes from: those that have the most buckets may have ended.
  const passed = (since: TrainingRequest): number =>
    since.end === undefined ? buckets - since.buckets : Math.round((extent.end - since.end) / interval);
  if (buckets < settings.firstAfter) return undefined;
  if (line.request === undefined) return { reason: `first model: ${buckets} buckets of history` };
  const since = passed(line.request);
  if (since < settings.pause) return undefined;
  // A first model that failed or was rejected is tried again with a good deal more history.
  if (champion === '' && since >= Math.ceil(settings.firstAfter / 2)) {
    return { reason: `${since} new buckets and no model` };
  }
  // A drift has its own trainings, on what came since, each after twice the wait of the one before; the schedule goes on.
  const whole = line.whole === undefined ? since : passed(line.whole);
  const reasons: string[] = [];
  if (settings.every > 0 && whole >= settings.every) reasons.push(`${whole} new buckets`);
  const more = total - line.request.total;
  if (settings.newBuckets > 0 && more >= settings.newBuckets) reasons.push(`${more} new buckets of all series`);
  const others = series - line.request.seriesCount;
  if (settings.newSeries > 0 && others > 0 && others >= settings.newSeries * series) {
    reasons.push(`${others} of ${series} series are new`);
  }
  if (reasons.length > 0) return { reason: reasons.join(', ') };
  if (drift === undefined || settings.driftAfter === 0) return undefined;
  const wait = settings.driftAfter * 2 ** (line.tries.get(drift.since) ?? 0);
  if (drift.buckets < wait || since < settings.driftAfter) return undefined;
  return { reason: `the error has risen since ${new Date(drift.since).toISOString()}`, from: drift.since };
}

/** Milliseconds of processor time that trainings may still take; infinite without a limit. */
export function budgetLeft(line: ModelLine, { budgetMs }: Pick<TriggerSettings, 'budgetMs'>, now: number): number {
  if (budgetMs === 0) return Number.POSITIVE_INFINITY;
  const spent = line.spent.reduce((sum, { time, cpuMs }) => (time > now - DAY_MS ? sum + cpuMs : sum), 0);
  return budgetMs - spent;
}
