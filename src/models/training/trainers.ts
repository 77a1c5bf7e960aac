import { FleetcastError } from '../../errors.ts';
import { ridgeTrainer } from '../ridge.ts';
import type { Trainer } from '../trainer.ts';

export const TRAINER_NAMES = ['tensorflow', 'ridge'] as const;
export type TrainerName = (typeof TRAINER_NAMES)[number];

/** The trainer used where nothing is configured. */
export const DEFAULT_TRAINER: TrainerName = 'tensorflow';

/** Loads a trainer; TensorFlow.js is read from disk only when it is asked for. @throws TRAINER_UNAVAILABLE */
export async function loadTrainer(name: string): Promise<Trainer> {
  switch (name) {
    case 'ridge':
      return ridgeTrainer;
    case 'tensorflow':
      return (await import('../tensorflow/trainer.ts')).tensorflowTrainer;
    default:
      throw new FleetcastError('TRAINER_UNAVAILABLE', `unknown trainer ${name}; there are ${TRAINER_NAMES.join(', ')}`);
  }
}
