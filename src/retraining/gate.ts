import type { ErrorRow, Evaluation } from './evaluate.ts';
import { bestNaive } from './evaluate.ts';
import { CANDIDATE, CHAMPION } from './training-job.ts';

export interface Decision {
  readonly accept: boolean;
  readonly reason: string;
}

/** The first gate: on data held out, a new model must be better than the naive forecasts and than the model in use. */
export function judgeHoldOut(evaluation: Evaluation): Decision {
  const model = row(evaluation, CANDIDATE);
  if (model === undefined || !Number.isFinite(model.mae))
    return { accept: false, reason: 'nothing was held out to judge it' };
  const naive = bestNaive(evaluation);
  const found = `test MAE ${model.mae.toFixed(4)}`;
  if (!(model.mae < naive.mae)) return { accept: false, reason: `${found}, ${naive.name} has ${naive.mae.toFixed(4)}` };
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
