import { messageOf } from '../errors.ts';
import type { ModelEvent } from '../events/records.ts';
import type { TrainProgress } from '../models/trainer.ts';
import type { LearnerStatus } from '../retraining/learner.ts';
import type { TrainingStage } from '../retraining/training-job.ts';
import { NO_TRAINING, type TrainingPart } from './status.ts';

/** Follows a training for the page and the terminal. */
export class TrainingWatch {
  #stage: TrainingStage | undefined;
  #detail = '';
  #progress: TrainProgress | undefined;
  #losses: number[] = [];
  #model = '';
  #ended = '';
  #failed = '';

  onStage(stage: TrainingStage, detail: string): void {
    if (stage === 'reading') {
      this.#clear();
      this.#failed = '';
    }
    this.#stage = stage;
    this.#detail = detail;
  }

  onProgress(progress: TrainProgress): void {
    const before = this.#progress;
    // Back at the beginning: a training of another length, or another model, with the same windows.
    if (before !== undefined && progress.epoch < before.epoch) this.#losses = [];
    if (progress.epoch !== before?.epoch || progress.step === progress.steps) {
      if (Number.isFinite(progress.validationLoss) && progress.validationLoss !== this.#losses.at(-1)) {
        this.#losses.push(progress.validationLoss);
        if (this.#losses.length > 200) this.#losses.shift();
      }
    }
    this.#progress = progress;
  }

  /** @param ended what became of it, in words */
  onEnd(ended: string, failed: boolean): void {
    this.#stage = undefined;
    this.#ended = failed ? '' : ended;
    this.#failed = failed ? ended : '';
  }

  /** What an event says of the model that it is about: also what somebody has done by hand. */
  onModelEvent({ kind, modelId, reason, details }: ModelEvent): void {
    const short = modelId.slice(0, 8);
    const running = this.#stage !== undefined;
    if (kind === 'trained' && running && !isByHand(details)) {
      this.#model = modelId;
      this.#stage = undefined;
    } else if (modelId !== '' && modelId !== this.#model) {
      // Numbers of one model must not stand below what is told of another.
      if (running) return;
      this.#clear();
    }
    if (kind === 'promoted') this.onEnd(`${short} is in use: ${reason}`, false);
    else if (kind === 'rolled_back') this.onEnd(`${short} is in use again: ${reason}`, false);
    else if (kind === 'retired') this.onEnd(`${short} was retired: ${reason}`, false);
    else if (kind === 'rejected') this.onEnd(`${short} was rejected: ${reason}`, false);
    else if (kind === 'failed') this.onEnd(failureIn(details, reason), true);
  }

  #clear(): void {
    this.#losses = [];
    this.#progress = undefined;
    this.#model = '';
  }

  part(learner: LearnerStatus | undefined, firstAfter: number): TrainingPart {
    if (learner === undefined || learner.state === 'stopped') return NO_TRAINING;
    const progress = this.#progress;
    const numbers = {
      model: this.#model,
      epoch: progress?.epoch ?? 0,
      epochs: progress?.epochs ?? 0,
      step: progress?.step ?? 0,
      steps: progress?.steps ?? 0,
      loss: progress?.loss ?? Number.NaN,
      validationLoss: progress?.validationLoss ?? Number.NaN,
      remainingMs: progress?.remainingMs ?? Number.NaN,
      losses: this.#losses,
      driftSince: learner.driftSince,
    };
    if (learner.state === 'training') {
      const state = this.#stage === 'training' && progress !== undefined ? 'training' : 'preparing';
      return { state, message: this.#detail, ...numbers };
    }
    if (this.#failed !== '') return { state: 'failed', message: this.#failed, ...numbers };
    if (learner.state === 'standby') return { state: 'waiting', message: 'another learner works', ...numbers };
    if (learner.champion === '' && this.#ended === '') {
      const message = `${learner.buckets} of ${firstAfter} buckets that the first training waits for`;
      return { state: 'waiting', message, ...numbers };
    }
    return { state: 'idle', message: this.#ended, ...numbers };
  }
}

function isByHand(details: string): boolean {
  try {
    return (JSON.parse(details) as { byHand?: boolean }).byHand === true;
  } catch {
    return false;
  }
}

function failureIn(details: string, reason: string): string {
  try {
    return `${reason}: ${(JSON.parse(details) as { message?: string }).message ?? ''}`;
  } catch (error) {
    return `${reason} (${messageOf(error)})`;
  }
}
