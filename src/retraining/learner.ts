import { FleetcastError, isFleetcastError, messageOf } from '../errors.ts';
import { decode } from '../events/codec.ts';
import type { ModelEvent } from '../events/records.ts';
import type { EventLog, GroupMember, OutRecord, TaskWriter } from '../log/event-log.ts';
import type { TrainProgress } from '../models/trainer.ts';
import { threadsBesideStream } from '../models/training/threads.ts';
import { modelName } from '../operators/forecast.ts';
import type { ServedModel } from '../operators/served-model.ts';
import { isRefusal } from '../pipelines/activation.ts';
import type { ModelRegistry } from '../pipelines/model-registry.ts';
import type { TopicNames } from '../pipelines/topics.ts';
import { activate, leaveShadow, type Serving, servable } from './activate.ts';
import { ErrorTrack } from './drift.ts';
import type { Evaluation } from './evaluate.ts';
import { judgeHoldOut } from './gate.ts';
import { HistoryWatch } from './history-watch.ts';
import { type ModelLife, ModelLine } from './model-line.ts';
import { DRIFT_DEFAULTS, type DriftSettings } from './page-hinkley.ts';
import { type Desk, eventRecord, publish } from './publisher.ts';
import type { TrainingRequest } from './request.ts';
import { runRequested } from './run-requested.ts';
import { ScoreFollower } from './score-follower.ts';
import { Shadow, scoresAt, shadowEvent } from './shadow.ts';
import { failedEvent, newRequest, processorTime, type RequestOptions, requestedEvent } from './train.ts';
import type { TrainingHooks, WindowSettings } from './training-job.ts';
import { type TrialSettings, trialDefaults } from './trial.ts';
import { budgetLeft, type Drift, TRIGGER_DEFAULTS, type TriggerSettings, trainingDue } from './triggers.ts';

export interface LearnerOptions extends Pick<TrainingHooks, 'onStage' | 'onProgress'> {
  readonly log: EventLog;
  readonly topics: TopicNames;
  readonly registry: ModelRegistry;
  readonly windows: WindowSettings;
  /** Name of the model line. */
  readonly name: string;
  /** `driftAfter` is three lookbacks where it is left out; see {@link TRIGGER_DEFAULTS} for the others. */
  readonly triggers: Pick<TriggerSettings, 'firstAfter' | 'every'> & Partial<TriggerSettings>;
  readonly drift?: DriftSettings;
  /** A model that is to replace another is watched in shadow first, and the old one after that. */
  readonly trial?: TrialSettings;
  /** What each training is asked for with. */
  readonly request: Omit<RequestOptions, 'name' | 'reason' | 'extent' | 'parent'>;
  /** Fits a ridge regression beside each network, and takes it where it is better on the hold-out. Default true. */
  readonly ridgeBeside?: boolean;
  readonly now: () => number;
  /** Unique among the learners of this log. */
  readonly memberId: string;
  /** A training that was asked for so long ago and has not ended is given up, milliseconds. Default six hours. */
  readonly deadlineMs?: number;
  /** Without a sign of life for so long a learner is followed by another, milliseconds. Default: the log's. */
  readonly sessionMs?: number;
  /** How often the history is looked at, milliseconds. Default 1,000. */
  readonly pollMs?: number;
  /** How long an artefact that is not on the log is waited for, milliseconds. Default two minutes. */
  readonly artefactMs?: number;
  /** Between checkpoints of a training, milliseconds. Default 30,000. */
  readonly checkpointMs?: number;
  readonly onCheckpoint?: () => void;
  /** Pause after a failure, milliseconds. Default 5,000. */
  readonly retryMs?: number;
  readonly onEvent?: (event: LearnerEvent) => void;
}

export type LearnerEvent =
  | { readonly kind: 'model-event'; readonly event: ModelEvent }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'error'; readonly message: string; readonly code: string };

export interface LearnerStatus {
  /** `standby`: another learner of this log works. */
  readonly state: 'standby' | 'waiting' | 'training' | 'stopped';
  /** Buckets of the longest series, and how many the next training waits for. */
  readonly buckets: number;
  readonly champion: string;
  /** Why the champion cannot be served any more, where it is so: it counts as none then. */
  readonly championRefused: string | undefined;
  readonly challenger: string;
  /** When the champion's error began to rise for good (event time), where it has. */
  readonly driftSince: number | undefined;
  /** How often it has looked and found nothing to do. */
  readonly rounds: number;
  readonly progress: TrainProgress | undefined;
}

const DEADLINE_MS = 6 * 3_600_000;
const POLL_MS = 1_000;
const RETRY_MS = 5_000;
const VISIBLE_MS = 500;
/** On Kafka an open transaction of somebody else can hide what has been committed, but not for longer. */
const ARTEFACT_MS = 120_000;
const FLUSH_PATIENCE_MS = 30_000;

/**
 * Trains models as the history grows and puts them into use. All that it knows it reads from the log: a learner that dies
 * at any moment is followed by one that goes on from the last event. Each step is one atomic commit of a fenced writer,
 * so of several learners one works, and nothing is done twice.
 *
 * The steps of a model: `requested` (with everything the training depends on) → artefact and `trained` → judged on the
 * hold-out: `rejected`, `promoted` where only naive forecasts served, else `shadowed` → judged by the scores of the stream:
 * `rejected`, or `promoted` with the old champion in shadow → `rolled_back` if that one turns out better, else `retired`.
 */
export class Learner {
  readonly #options: LearnerOptions;
  readonly #watch: HistoryWatch;
  readonly #stop = new AbortController();
  #line: ModelLine;
  #rounds = 0;
  #eventsRead = -1;
  /** Behind the last event of its own: on Kafka, readers see it a moment after the commit. */
  #eventsWritten = 0;
  /** The first assignment may come before `join` has resolved. */
  readonly #joined: Promise<GroupMember>;
  #tellJoined: (member: GroupMember) => void = () => {};
  #member: GroupMember | undefined;
  #writer: TaskWriter | undefined;
  /** Ends what runs when the partition is taken away. */
  #turn = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #state: LearnerStatus['state'] = 'standby';
  #progress: TrainProgress | undefined;
  #shadow: Shadow | undefined;
  /** A champion that was found not to be servable. */
  #unserved: { readonly id: string; readonly refusal: string; readonly gone: boolean } | undefined;
  #errors: { champion: string; track: ErrorTrack; follower: ScoreFollower; since: number | undefined } | undefined;

  constructor(options: LearnerOptions) {
    this.#options = options;
    this.#joined = new Promise((resolve) => {
      this.#tellJoined = resolve;
    });
    this.#watch = new HistoryWatch(options.log, options.topics.history);
    this.#line = new ModelLine(options.name);
  }

  status(): LearnerStatus {
    return {
      state: this.#state,
      buckets: this.#watch.longest,
      champion: this.#line.champion,
      championRefused: this.#unserved?.id === this.#line.champion ? this.#unserved.refusal : undefined,
      challenger: this.#line.challenger,
      // Of a champion before this one it is over, also while that one is watched on in the shadow.
      driftSince: this.#errors?.champion === this.#line.champion ? this.#errors.since : undefined,
      rounds: this.#rounds,
      progress: this.#progress,
    };
  }

  /** Joins the learners of this log; works when it is this one's turn. */
  async start(): Promise<void> {
    const { log, topics, name, memberId, sessionMs } = this.#options;
    this.#member = await log.join({
      group: `${topics.modelEvents}.learner.${name}`,
      topics: [topics.modelEvents],
      memberId,
      ...(sessionMs === undefined ? {} : { sessionMs }),
      onAssigned: (partitions) => {
        if (partitions.includes(0)) this.#begin();
      },
      onRevoked: (partitions) => (partitions.includes(0) ? this.#end() : undefined),
      onLost: (partitions) => (partitions.includes(0) ? this.#end() : undefined),
    });
    this.#tellJoined(this.#member);
  }

  /** Cancels a training that runs (it is done again from its request next time) and leaves. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#end();
    await this.#member?.leave();
    this.#state = 'stopped';
  }

  #begin(): void {
    this.#turn = new AbortController();
    this.#running = this.#run(this.#turn.signal);
  }

  async #end(): Promise<void> {
    this.#turn.abort();
    await this.#running;
    this.#state = 'standby';
    // From now on another learner decides what is in use.
    this.#unserved = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#stop.signal.aborted) {
      try {
        if (this.#writer === undefined) await this.#openWriter();
        while (await this.#step(signal)) signal.throwIfAborted();
        this.#rounds++;
        await pause(this.#options.pollMs ?? POLL_MS, signal);
      } catch (error) {
        if (signal.aborted) break;
        await this.#writer?.close().catch(() => undefined);
        this.#writer = undefined;
        this.#options.onEvent?.({
          kind: 'error',
          message: messageOf(error),
          code: isFleetcastError(error) ? error.code : 'UNKNOWN',
        });
        await pause(this.#options.retryMs ?? RETRY_MS, signal);
      }
    }
    await this.#writer?.close().catch(() => undefined);
    this.#writer = undefined;
  }

  async #openWriter(): Promise<void> {
    await this.#writer?.close().catch(() => undefined);
    this.#writer = undefined;
    const { log, topics } = this.#options;
    const writes = [topics.models, topics.modelEvents].map((topic) => ({ topic, partition: 0 }));
    const readings = (await log.topic(topics.readings))?.partitions ?? 0;
    for (let partition = 0; partition < readings; partition++) writes.push({ topic: topics.readings, partition });
    this.#writer = await (await this.#joined).openWriter(0, writes);
  }

  /** One step of the loop. @returns whether there may be more to do at once */
  async #step(signal: AbortSignal): Promise<boolean> {
    await this.#watch.advance(signal);
    await this.#readEvents(signal);
    const line = this.#line;
    this.#state = 'waiting';
    if (line.open !== undefined) {
      await this.#train(line.open, signal);
      return true;
    }
    if (line.undecided !== undefined) {
      await this.#decide(line.undecided, signal);
      return true;
    }
    if (line.challenger !== '') return this.#watchShadow(signal);
    const { shape, interval } = this.#options.windows;
    const extent = this.#watch.extent(shape.lookback + shape.horizon);
    const drift = await this.#drift(signal);
    const champion = (await this.#champion(signal)) === undefined ? '' : line.champion;
    const due = trainingDue(line, extent, this.#triggers(), interval, this.#options.now(), drift, champion);
    if (due === undefined) return false;
    const { name, request } = this.#options;
    const desk = this.#desk();
    const options = { flushPatienceMs: FLUSH_PATIENCE_MS, ...request, ...due, name, extent };
    await publish(desk, [requestedEvent(desk, await newRequest(desk, options, signal))]);
    return true;
  }

  async #train(request: TrainingRequest, signal: AbortSignal): Promise<void> {
    const desk = this.#desk();
    const left = request.time + (this.#options.deadlineMs ?? DEADLINE_MS) - this.#options.now();
    if (left <= 0) {
      const late = new FleetcastError('TRAINING_CANCELLED', 'the training had not ended by its deadline');
      await publish(desk, [failedEvent(desk, request, late)]);
      return;
    }
    this.#state = 'training';
    try {
      await runRequested(desk, request, {
        windows: this.#options.windows,
        hooks: this.#hooks(signal),
        champion: await this.#champion(signal),
        ridgeBeside: this.#options.ridgeBeside ?? true,
        limitMs: Math.min(left, this.#budgetTime(request)),
        checkpointMs: this.#options.checkpointMs,
        onCheckpoint: this.#options.onCheckpoint,
        onLeftOut: (bytes) => {
          const message = `a checkpoint of ${bytes} bytes is too large for ${desk.topics.models}: an interrupted training begins anew`;
          this.#options.onEvent?.({ kind: 'warning', message });
        },
        signal,
      });
    } finally {
      this.#progress = undefined;
    }
  }

  /** Milliseconds of time in which a training uses up what is left of the day's budget. */
  #budgetTime(request: TrainingRequest): number {
    const left = budgetLeft(this.#line, this.#triggers(), this.#options.now());
    return Math.max(1, left / processorTime(request, 1, threadsBesideStream()));
  }

  /** Judges a trained model by what its `trained` event says: nothing else is needed, so a restart decides the same. */
  async #decide({ id, events }: ModelLife, signal: AbortSignal): Promise<void> {
    const desk = this.#desk();
    const { name } = this.#options;
    const { evaluation } = JSON.parse(events.find(({ kind }) => kind === 'trained')!.details) as {
      evaluation: Evaluation;
    };
    const decision = judgeHoldOut(evaluation);
    // The pipeline of this process shares the registry: it finds the model compared and ready, and does not wait for it.
    const refusal = decision.accept ? await this.#refusal(id, signal) : undefined;
    const champion = await this.#champion(signal);
    const against = this.#line.champion;
    // That took seconds, in which somebody may have decided by hand, about this model or another.
    await this.#readEvents(signal);
    if (this.#line.models.get(id)?.status !== 'trained' || this.#line.champion !== against) return;
    const accept = decision.accept && refusal === undefined;
    const reason = refusal ?? decision.reason;
    if (accept) {
      // Against the naive forecasts the hold-out is enough; a model that serves is not replaced without a trial.
      const role = champion === undefined ? 'champion' : 'challenger';
      await activate({ ...desk, ...this.#serving, line: this.#line, name, modelId: id, role, reason });
    } else {
      const event = { name, kind: 'rejected', modelId: id, time: desk.now(), reason } as const;
      await publish(desk, [eventRecord(desk.topics, event, {})]);
    }
  }

  /** Judges the challenger by what the stream has scored: a new model, or the old champion against the new. */
  async #watchShadow(signal: AbortSignal): Promise<boolean> {
    const { log, topics, windows, name } = this.#options;
    const { champion, challenger, previous } = this.#line;
    const event = shadowEvent(this.#line);
    const key = `${champion} ${challenger} ${event?.time}`;
    const desk = this.#desk();
    const old = challenger === previous;
    const leave = old ? 'retired' : 'rejected';
    if (this.#shadow?.key !== key) {
      const served = await this.#champion(signal);
      const refusal = await this.#refusal(challenger, signal);
      if (served === undefined || refusal !== undefined) {
        const reason = refusal ?? 'no model is in use that it could be compared with';
        if (await this.#decidedByHand(champion, event, signal)) return true;
        await leaveShadow({ ...desk, name, modelId: challenger, kind: leave, reason });
        return true;
      }
      const names = { champion: modelName(served), challenger: await this.#scoreName(challenger, signal) };
      this.#shadow = new Shadow(log, topics.scores, names, event, windows.shape.horizon, key);
    }
    const { verdict, result } = await this.#shadow.judge(this.#options.trial ?? trialDefaults(windows), signal);
    if (verdict === 'undecided') return false;
    if (await this.#decidedByHand(champion, event, signal)) return true;
    const { closed, scored } = this.#shadow.buckets;
    if (verdict === 'never-scored') {
      const reason = `never scored: ${scored} of ${closed} buckets since it came into shadow have forecasts of both models`;
      this.#options.onEvent?.({ kind: 'warning', message: `the trial of ${challenger} has ended: ${reason}` });
      await leaveShadow({ ...desk, name, modelId: challenger, kind: leave, reason, details: { trial: result } });
      this.#shadow = undefined;
      return true;
    }
    const reason = `${verdict}: MAE ${result.challengerMae.toFixed(4)} against ${result.championMae.toFixed(4)} over ${result.count} buckets, p ${result.p.toPrecision(3)}`;
    const details = { trial: result };
    if (verdict === 'challenger-better') {
      const kind = old ? 'rolled_back' : 'promoted';
      const shadow = old ? '' : champion;
      const promotion = { name, modelId: challenger, role: 'champion', kind, reason, details, shadow } as const;
      await activate({ ...desk, ...this.#serving, line: this.#line, ...promotion });
    } else {
      await leaveShadow({ ...desk, name, modelId: challenger, kind: leave, reason, details });
    }
    this.#shadow = undefined;
    return true;
  }

  /** Whether somebody has ended the trial while the learner was at it. */
  async #decidedByHand(champion: string, shadowed: ModelEvent | undefined, signal: AbortSignal): Promise<boolean> {
    await this.#readEvents(signal);
    return this.#line.champion !== champion || shadowEvent(this.#line) !== shadowed;
  }

  /** A lasting rise of the champion's error since it came into use. */
  async #drift(signal: AbortSignal): Promise<Drift | undefined> {
    const { log, topics, windows, drift = DRIFT_DEFAULTS } = this.#options;
    const { champion, models } = this.#line;
    if (champion === '' || this.#triggers().driftAfter === 0) return undefined;
    if (this.#errors?.champion !== champion) {
      const began = models.get(champion)!.events.findLast(({ kind }) => kind === 'promoted' || kind === 'rolled_back');
      const served = await this.#champion(signal);
      if (served === undefined) return undefined;
      const track = new ErrorTrack(modelName(served));
      const follower = new ScoreFollower(log, topics.scores, scoresAt(began), (score) => track.add(score));
      this.#errors = { champion, track, follower, since: undefined };
    }
    const errors = this.#errors;
    if ((await errors.follower.advance(signal)) > 0) errors.since ??= errors.track.drift(drift);
    if (errors.since === undefined) return undefined;
    return { since: errors.since, buckets: Math.round((errors.track.newest - errors.since) / windows.interval) };
  }

  #triggers(): TriggerSettings {
    const { triggers, windows } = this.#options;
    return { ...TRIGGER_DEFAULTS, driftAfter: 3 * windows.shape.lookback, ...triggers };
  }

  async #scoreName(id: string, signal: AbortSignal): Promise<string> {
    return modelName(await this.#options.registry.load(id, signal));
  }

  async #readEvents(signal: AbortSignal): Promise<void> {
    const { log, topics, onEvent } = this.#options;
    const { earliest, end } = await log.offsets(topics.modelEvents, 0);
    const first = this.#eventsRead < 0;
    if (first) this.#eventsRead = earliest;
    while (this.#eventsRead < Math.max(end, this.#eventsWritten)) {
      signal.throwIfAborted();
      const waitMs = this.#eventsRead < end ? 0 : VISIBLE_MS;
      const batch = await log.read(topics.modelEvents, 0, this.#eventsRead, { maxRecords: 1000, waitMs, signal });
      for (const { value } of batch.records) {
        if (value === null) continue;
        const event = decode<ModelEvent>('ModelEvent', value);
        this.#line.apply(event);
        if (!first) onEvent?.({ kind: 'model-event', event });
      }
      if (batch.nextOffset <= this.#eventsRead && this.#eventsRead >= this.#eventsWritten) break;
      this.#eventsRead = batch.nextOffset;
    }
  }

  /**
   * The model in use; undefined also where it cannot be served any more, as after a change of the arithmetic: it counts
   * as none then, and the next that beats the naive forecasts takes its place.
   */
  async #champion(signal: AbortSignal): Promise<ServedModel | undefined> {
    const id = this.#line.champion;
    if (id === '') return undefined;
    const known = this.#unserved?.id === id ? this.#unserved : undefined;
    // An artefact that is gone may be put back; what the model is refused for otherwise stays.
    if (known !== undefined && !known.gone) return undefined;
    const error = await this.#refusalError(id, signal, known === undefined ? {} : { patienceMs: 0 });
    if (error === undefined) {
      this.#unserved = undefined;
      return this.#options.registry.load(id, signal);
    }
    const refusal = textOf(error);
    this.#unserved = { id, refusal, gone: error.code === 'MODEL_UNKNOWN' };
    if (known === undefined) {
      const message = `the model in use, ${id}, cannot be served any more: ${refusal}`;
      this.#options.onEvent?.({ kind: 'warning', message });
    }
    return undefined;
  }

  /** Why a model can never serve, where it is so: it would be no other the next time. */
  async #refusal(id: string, signal: AbortSignal): Promise<string | undefined> {
    const error = await this.#refusalError(id, signal);
    return error && textOf(error);
  }

  async #refusalError(
    id: string,
    signal: AbortSignal,
    patience: Pick<Serving, 'patienceMs'> = {},
  ): Promise<FleetcastError | undefined> {
    try {
      await servable({ ...this.#serving, ...patience }, id, signal);
      return undefined;
    } catch (error) {
      if (isRefusal(error) || isFleetcastError(error, 'MODEL_UNKNOWN')) return error;
      throw error;
    }
  }

  get #serving(): Serving {
    const { registry, windows, artefactMs = ARTEFACT_MS } = this.#options;
    return { registry, shape: windows.shape, interval: windows.interval, patienceMs: artefactMs };
  }

  #hooks(signal: AbortSignal): TrainingHooks {
    const { onStage, onProgress } = this.#options;
    return {
      signal,
      threads: threadsBesideStream(),
      ...(onStage === undefined ? {} : { onStage }),
      onProgress: (progress) => {
        this.#progress = progress;
        onProgress?.(progress);
      },
    };
  }

  #desk(): Desk {
    const { log, topics, now } = this.#options;
    const publish = async (records: readonly OutRecord[]): Promise<void> => {
      const offsets = await this.#writer!.commit(records, new Map()).catch(async (error: unknown) => {
        // What is too large is told on the log, by another writer: this one may be dead.
        if (isFleetcastError(error, 'LOG_RECORD_TOO_LARGE')) await this.#openWriter();
        throw error;
      });
      records.forEach(({ topic }, i) => {
        if (topic === topics.modelEvents) this.#eventsWritten = Math.max(this.#eventsWritten, offsets[i]! + 1);
      });
    };
    return { log, topics, now, publish };
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

function textOf({ code, message }: FleetcastError): string {
  return `${code}: ${message}`;
}
