import { expect, it } from 'vitest';
import type { ModelEvent } from '../events/records.ts';
import { choiceIn } from './model-choice.ts';

const told = (errors: Record<string, number>, kind: ModelEvent['kind'] = 'trained') => {
  const rows = Object.entries(errors).map(([name, mae]) => ({ name, mae }));
  const details = JSON.stringify({ evaluation: { windows: 9, rows } });
  return choiceIn({ type: 'ModelEvent', name: 'default', kind, modelId: 'm', time: 0, reason: '', details });
};

it('says in one sentence why another family than the configured one forecasts', () => {
  const naive = { 'last-value': 0.9, 'seasonal-naive': 0.5 };
  expect(told({ model: 0.31, 'segment-lstm': 0.35, ...naive })).toBe(
    'ridge in place of segment-lstm: it has MAE 0.3100 on the hold-out, segment-lstm has 0.3500',
  );
  expect(told({ model: 0.31, ridge: 0.35, champion: 0.4, ...naive })).toBeUndefined();
  expect(told({ model: 0.6, ridge: 0.7, ...naive })).toBe(
    'the naive forecasts stay: the model has MAE 0.6000 on the hold-out, seasonal-naive has 0.5000',
  );
  expect(told({ model: 0.31, 'segment-lstm': 0.35, ...naive }, 'promoted')).toBeUndefined();
  expect(told({})).toBeUndefined();
});
