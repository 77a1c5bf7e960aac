import type { ModelEvent } from '../events/records.ts';
import type { EventLog } from '../log/event-log.ts';
import type { ModelLine } from './model-line.ts';
import { ScoreFollower } from './score-follower.ts';
import { judgeTrial, Trial, type TrialResult, type TrialSettings, type Verdict } from './trial.ts';

/** A challenger in shadow beside the champion, followed on the topic `scores` since it began. */
export class Shadow {
  readonly key: string;
  readonly #trial: Trial;
  readonly #follower: ScoreFollower;

  /** @param names of both in `scores`. @param event that put the challenger in shadow */
  constructor(
    log: EventLog,
    topic: string,
    names: { readonly champion: string; readonly challenger: string },
    event: ModelEvent | undefined,
    horizon: number,
    key: string,
  ) {
    this.key = key;
    this.#trial = new Trial(names.champion, names.challenger, horizon, scoredUntil(event));
    this.#follower = new ScoreFollower(log, topic, scoresAt(event), (score) => this.#trial.add(score));
  }

  /** Buckets since it began, and those of them with forecasts of both. */
  get buckets(): { readonly closed: number; readonly scored: number } {
    return { closed: this.#trial.closed, scored: this.#trial.times };
  }

  async judge(settings: TrialSettings, signal?: AbortSignal): Promise<{ verdict: Verdict; result: TrialResult }> {
    await this.#follower.advance(signal);
    return judgeTrial(this.#trial, settings);
  }
}

/** The event that put the present challenger in shadow. */
export function shadowEvent(line: ModelLine): ModelEvent | undefined {
  return line.models.get(line.challenger)?.events.findLast(({ kind }) => kind === 'shadowed');
}

/** Offsets of `scores` that an activation event recorded. */
export function scoresAt(event: ModelEvent | undefined): number[] {
  return event === undefined ? [] : ((JSON.parse(event.details) as { scores?: number[] }).scores ?? []);
}

/** Event time up to which there were scores when an activation event was written; −∞ for events of versions before. */
function scoredUntil(event: ModelEvent | undefined): number {
  const details = event === undefined ? {} : (JSON.parse(event.details) as { scoredUntil?: number });
  return details.scoredUntil ?? Number.NEGATIVE_INFINITY;
}
