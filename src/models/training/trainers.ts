import { FleetcastError } from '../../errors.ts';
import { ridgeTrainer } from '../ridge.ts';
import type { Trainer } from '../trainer.ts';
import { kernelTrainer } from './kernel-trainer.ts';

export const TRAINER_NAMES = ['kernel', 'tensorflow', 'ridge'] as const;
export type TrainerName = (typeof TRAINER_NAMES)[number];

/** The trainer used where nothing is configured. */
export const DEFAULT_TRAINER: TrainerName = 'kernel';

/** Loads a trainer; TensorFlow.js is read from disk only when it is asked for. @throws TRAINER_UNAVAILABLE */
export async function loadTrainer(name: string): Promise<Trainer> {
  switch (name) {
    case 'kernel':
      return kernelTrainer();
    case 'ridge':
      return ridgeTrainer;
    case 'tensorflow':
      return (await import('../tensorflow/trainer.ts')).tensorflowTrainer;
    default:
      throw new FleetcastError('TRAINER_UNAVAILABLE', `unknown trainer ${name}; there are ${TRAINER_NAMES.join(', ')}`);
  }
}
