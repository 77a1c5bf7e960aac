import { expect, it } from 'vitest';
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
