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

it('keeps the numbers of one training together, and apart from those of others', () => {
  const watch = new TrainingWatch();
  const status = (state: LearnerStatus['state']) =>
    ({ state, buckets: 12, champion: 'c', challenger: '', progress: undefined }) as unknown as LearnerStatus;
  const progress = { epochs: 3, steps: 30, loss: 0.5, remainingMs: 9_000 };
  const event = { type: 'ModelEvent', name: 'default', time: 0, reason: 'r', details: '{}' } as const;
  watch.onStage('reading', '');
  watch.onStage('training', '900 windows');
  watch.onProgress({ ...progress, epoch: 1, step: 10, validationLoss: 0.6 });
  watch.onProgress({ ...progress, epoch: 2, step: 20, validationLoss: 0.5 });
  // The second length, on the same windows.
  watch.onProgress({ ...progress, epoch: 1, step: 10, validationLoss: 0.9 });
  watch.onProgress({ ...progress, epoch: 2, step: 20, validationLoss: 0.8 });
  expect(watch.part(status('training'), 1)).toMatchObject({ losses: [0.9, 0.8], model: '' });
  watch.onModelEvent({ ...event, kind: 'trained', modelId: 'mine' });
  watch.onModelEvent({ ...event, kind: 'rejected', modelId: 'mine' });
  expect(watch.part(status('waiting'), 1)).toMatchObject({ losses: [0.9, 0.8], model: 'mine', epoch: 2 });
  // Somebody puts another model into use: nothing of the training stands below that.
  watch.onModelEvent({ ...event, kind: 'promoted', modelId: 'other' });
  expect(watch.part(status('waiting'), 1)).toMatchObject({ message: 'other is in use: r', losses: [], epochs: 0 });
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
