import type { ModelLine } from './model-line.ts';

export interface TriggerSettings {
  /** Buckets of the longest series before the first training. */
  readonly firstAfter: number;
  /** Buckets of the longest series between trainings; 0 trains once. */
  readonly every: number;
}

/** Why a training is due, or undefined. @param buckets of the longest series now */
export function trainingDue(line: ModelLine, buckets: number, settings: TriggerSettings): string | undefined {
  if (line.open !== undefined || line.undecided !== undefined) return undefined;
  if (buckets < settings.firstAfter) return undefined;
  if (line.request === undefined) return `first model: ${buckets} buckets of history`;
  const since = buckets - line.request.buckets;
  // A first model that failed or was rejected is tried again with a good deal more history.
  if (line.champion === '' && since >= Math.ceil(settings.firstAfter / 2)) return `${since} new buckets and no model`;
  if (settings.every > 0 && since >= settings.every) return `${since} new buckets`;
  return undefined;
}
