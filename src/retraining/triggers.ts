import type { ModelLine } from './model-line.ts';

export interface TriggerSettings {
  /** Buckets of the longest series before the first training. */
  readonly firstAfter: number;
  /** Buckets of the longest series between trainings: a schedule in event time. 0 trains once. */
  readonly every: number;
  /** Buckets after the beginning of a drift before a training on what came since is tried, and between tries; 0 never. */
  readonly driftAfter: number;
}

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

/**
 * Why a training is due, or undefined. One thing at a time: nothing is asked for while a training is open, a model is
 * undecided or a challenger in shadow, so that triggers are coalesced.
 * @param buckets of the longest series now
 */
export function trainingDue(
  line: ModelLine,
  buckets: number,
  settings: TriggerSettings,
  drift?: Drift,
): Due | undefined {
  if (line.open !== undefined || line.undecided !== undefined || line.challenger !== '') return undefined;
  if (buckets < settings.firstAfter) return undefined;
  if (line.request === undefined) return { reason: `first model: ${buckets} buckets of history` };
  const since = buckets - line.request.buckets;
  // A first model that failed or was rejected is tried again with a good deal more history.
  if (line.champion === '' && since >= Math.ceil(settings.firstAfter / 2)) {
    return { reason: `${since} new buckets and no model` };
  }
  const wait = settings.driftAfter;
  if (drift !== undefined && wait > 0 && drift.buckets >= wait && since >= wait) {
    const began = new Date(drift.since).toISOString();
    return { reason: `the error has risen since ${began}`, from: drift.since };
  }
  if (settings.every > 0 && since >= settings.every) return { reason: `${since} new buckets` };
  return undefined;
}
