import { expect, it } from 'vitest';
import type { ModelEvent } from '../events/records.ts';
import type { LearnerStatus } from '../retraining/learner.ts';
import { TrainingWatch } from './training-watch.ts';

it('follows a training from waiting to its end', () => {
  const watch = new TrainingWatch();
  const learner = (state: LearnerStatus['state'], more: Partial<LearnerStatus> = {}): LearnerStatus =>
    ({ state, buckets: 12, champion: '', challenger: '', progress: undefined, ...more }) as LearnerStatus;
  const progress = { epochs: 2, steps: 20, loss: 0.5, remainingMs: 9_000 };
  expect(watch.part(undefined, 480).state).toBe('off');
  expect(watch.part(learner('waiting'), 480)).toMatchObject({
    state: 'waiting',
    message: '12 of 480 buckets that the first training waits for',
  });
  watch.onStage('reading', '4 partitions of history');
  expect(watch.part(learner('training'), 480)).toMatchObject({ state: 'preparing' });
  watch.onStage('training', '900 windows of 4 series');
  watch.onProgress({ ...progress, epoch: 1, step: 10, validationLoss: 0.6 });
  watch.onProgress({ ...progress, epoch: 2, step: 20, validationLoss: 0.4 });
  expect(watch.part(learner('training'), 480)).toMatchObject({
    state: 'training',
    message: '900 windows of 4 series',
    epoch: 2,
    step: 20,
    losses: [0.6, 0.4],
  });
  watch.onEnd('abc is in use', false);
  expect(watch.part(learner('waiting', { champion: 'abc' }), 480)).toMatchObject({ state: 'idle', losses: [0.6, 0.4] });
  watch.onEnd('no disk', true);
  expect(watch.part(learner('waiting'), 480)).toMatchObject({ state: 'failed', message: 'no disk' });
});

it('tells what has become of models since, also by hand', () => {
  const watch = new TrainingWatch();
  const learner = { state: 'waiting', buckets: 12, champion: 'a', challenger: '', progress: undefined } as never;
  const event = { type: 'ModelEvent', name: 'default', time: 0, reason: 'by hand', details: '{}' } as const;
  const told = (kind: ModelEvent['kind'], modelId: string, details = '{}') => {
    watch.onModelEvent({ ...event, kind, modelId, details });
    const { state, message } = watch.part(learner, 480);
    return `${state}: ${message}`;
  };
  expect(told('promoted', 'bbbbbbbbbbbb')).toBe('idle: bbbbbbbb is in use: by hand');
  expect(told('rolled_back', 'aaaaaaaaaaaa')).toBe('idle: aaaaaaaa is in use again: by hand');
  expect(told('retired', 'aaaaaaaaaaaa')).toBe('idle: aaaaaaaa was retired: by hand');
  expect(told('failed', '', '{"message":"no disk"}')).toBe('failed: by hand: no disk');
});
