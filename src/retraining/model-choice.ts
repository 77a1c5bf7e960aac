import type { ModelEvent } from '../events/records.ts';
import { bestNaive, type Evaluation, isNaive } from './evaluate.ts';
import { CANDIDATE, CHAMPION, RIDGE } from './training-job.ts';

/**
 * Why another family than the configured one forecasts, in one sentence, where it does: a `trained` event tells that a
 * ridge regression was better than the network beside it, or that the naive forecasts were better than both.
 * @returns undefined where there is nothing to explain
 */
export function choiceIn({ kind, details }: ModelEvent): string | undefined {
  if (kind !== 'trained') return undefined;
  const { evaluation } = JSON.parse(details) as { evaluation?: Evaluation };
  const candidate = evaluation?.rows.find(({ name }) => name === CANDIDATE);
  if (evaluation === undefined || candidate === undefined || !evaluation.rows.some(isNaive)) return undefined;
  const found = `MAE ${candidate.mae.toFixed(4)} on the hold-out`;
  const naive = bestNaive(evaluation);
  if (!(candidate.mae < naive.mae)) {
    return `the naive forecasts stay: the model has ${found}, ${naive.name} has ${naive.mae.toFixed(4)}`;
  }
  const network = evaluation.rows.find((row) => !isNaive(row) && ![CANDIDATE, CHAMPION, RIDGE].includes(row.name));
  if (network === undefined) return undefined;
  return `ridge in place of ${network.name}: it has ${found}, ${network.name} has ${network.mae.toFixed(4)}`;
}
