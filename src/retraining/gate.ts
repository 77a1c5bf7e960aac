import type { ErrorRow, Evaluation } from './evaluate.ts';
import { bestNaive, isNaive } from './evaluate.ts';
import { CANDIDATE, CHAMPION } from './training-job.ts';

export interface Decision {
  readonly accept: boolean;
  readonly reason: string;
}

/** A smaller gain on the hold-out is no promise for what comes after it. */
const MARGIN = 0.05;
/** Squared errors may exceed those of the naive forecasts by this share: a few spikes that nobody foresees decide them. */
const SPIKES = 0.1;

/**
 * The first gate: on data held out, a new model must be better than both naive forecasts and than the model in use. Against
 * the naive ones it must also win on the newer half of the hold-out, so that it serves no series that has changed, and
 * must not pay for many small gains with a few large errors.
 */
export function judgeHoldOut(evaluation: Evaluation): Decision {
  const model = row(evaluation, CANDIDATE);
  if (model === undefined || !Number.isFinite(model.mae))
    return { accept: false, reason: 'nothing was held out to judge it' };
  const naive = bestNaive(evaluation);
  const found = `test MAE ${model.mae.toFixed(4)}`;
  if (!(model.mae < (1 - MARGIN) * naive.mae))
    return { accept: false, reason: `${found}, ${naive.name} has ${naive.mae.toFixed(4)}` };
  for (const { name, recentMae, mse } of evaluation.rows.filter(isNaive)) {
    if (model.recentMae !== undefined && recentMae !== undefined && !(model.recentMae < recentMae)) {
      const reason = `${found}, but ${model.recentMae.toFixed(4)} on the newer half, where ${name} has ${recentMae.toFixed(4)}`;
      return { accept: false, reason };
    }
    if (!(model.mse <= (1 + SPIKES) * mse)) {
      return { accept: false, reason: `${found}, but MSE ${model.mse.toFixed(4)}, ${name} has ${mse.toFixed(4)}` };
    }
  }
  const champion = row(evaluation, CHAMPION);
  if (champion !== undefined && !(model.mae < champion.mae)) {
    return { accept: false, reason: `${found}, the model in use has ${champion.mae.toFixed(4)}` };
  }
  const beaten = champion === undefined ? naive : champion;
  return { accept: true, reason: `${found} against ${beaten.mae.toFixed(4)} of ${beaten.name}` };
}

function row({ rows }: Evaluation, name: string): ErrorRow | undefined {
  return rows.find((one) => one.name === name);
}
