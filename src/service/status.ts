/** What the service tells about itself: on the page, in health and in metrics. Plain JSON. */

export interface ServiceStatus {
  readonly version: string;
  /** Wall clock, milliseconds. */
  readonly startedAt: number;
  readonly now: number;
  readonly log: { readonly kind: string; readonly where: string };
  readonly health: Health;
  readonly bridge: BridgePart | undefined;
  readonly tasks: readonly TaskPart[];
  /** Partitions that are to come to this process and that others still hold, be they alive or killed. */
  readonly waiting: readonly WaitPart[];
  /** Copies of the state of tasks that other processes run. */
  readonly standbys: readonly StandbyPart[];
  /** Threads of the pipeline that have crashed and been started again. */
  readonly threadRestarts: number;
  readonly rates: { readonly readings: number; readonly forecasts: number };
  readonly totals: Totals;
  /** What the log holds now, whoever wrote it and when. */
  readonly onLog: { readonly deadLetters: number };
  /** Records that did not go on in this process, since its start. */
  readonly drops: readonly Drop[];
  /** What happened although every record went on, since the start of this process. */
  readonly notes: readonly Note[];
  readonly model: ModelPart;
  readonly training: TrainingPart;
}

export interface Health {
  /**
   * `stuck` is red: something does not go on by itself. `starting`: restoring or not assigned yet. `idle`: there are more
   * processes than partitions, and this one has none; as good as `ok`.
   */
  readonly status: 'ok' | 'idle' | 'starting' | 'degraded' | 'stuck';
  readonly problems: readonly string[];
}

export interface BridgePart {
  readonly url: string;
  readonly connected: boolean;
  readonly received: number;
  readonly acknowledged: number;
  /** Messages a second that reached the log. */
  readonly perSecond: number;
  /** Messages and bytes that are not on the log yet, and how long the oldest has waited (milliseconds). */
  readonly pending: number;
  readonly pendingBytes: number;
  readonly oldestPendingMs: number;
  /** Messages of QoS 1 and 2 that are not acknowledged. */
  readonly inFlight: number;
  readonly redelivered: number;
  readonly retained: number;
  /** Connections to the broker since the start. */
  readonly connections: number;
  /** Times that another client with the same client id took the session. */
  readonly takeovers: number;
  /** Times that the broker had forgotten the session, and with it what waited there. */
  readonly sessionsLost: number;
  /** Messages that the broker has dropped since its start, of any client; undefined where it does not say. */
  readonly brokerDropped: number | undefined;
  readonly logDown: boolean;
  /** No more is read from the broker until the log has caught up. */
  readonly held: boolean;
  /** Devices that say when they come and go (Sparkplug); undefined where none can. */
  readonly presence?: PresencePart;
}

export interface PresencePart {
  readonly online: number;
  readonly offline: number;
  /** The first hundred that are offline, the latest first: their last values are stale. */
  readonly gone: readonly { readonly device: string; readonly since: number }[];
}

export interface TaskPart {
  readonly task: string;
  readonly partition: number;
  readonly state: string;
  readonly offset: number;
  /** Share of the state's restore that is through, from 0 to 1. */
  readonly restored: number;
  /** Input records that are not processed yet. */
  readonly lag: number;
  /** How far the newest processed record's ingest time is behind the clock while there is a lag, milliseconds. */
  readonly lagMs: number;
  /** Milliseconds since the last commit; NaN before the first. */
  readonly commitAge: number;
  readonly stuck: boolean;
  readonly error: string;
}

export interface WaitPart {
  /** Group of the sub-topology. */
  readonly group: string;
  readonly partition: number;
  /** Empty where the log does not say. */
  readonly holder: string;
  /** When it comes at the latest if its holder gives no sign of life, wall clock; 0 where that is not known. */
  readonly until: number;
}

export interface StandbyPart {
  readonly task: string;
  readonly partition: number;
  /** Records of the state topic that are not in the copy yet. */
  readonly lag: number;
  readonly keys: number;
  readonly error: string;
}

/** Of every process of the fleet, since this one began to read the log; devices and series also from shortly before. */
export interface Totals {
  readonly devices: number;
  readonly series: number;
  readonly readings: number;
  readonly forecasts: number;
  readonly scores: number;
  readonly alerts: number;
  readonly deadLetters: number;
}

export interface Drop {
  /** Where it happened: `bridge`, or the node of the topology. */
  readonly where: string;
  readonly reason: string;
  readonly count: number;
  /** Kept whole on the topic of dead letters; otherwise counted only. */
  readonly kept: boolean;
}

export interface Note {
  /** Node of the topology. */
  readonly where: string;
  readonly reason: string;
  readonly count: number;
}

export interface ModelPart {
  /** Artefact id of the model that serves, or empty before the first. */
  readonly id: string;
  readonly name: string;
  readonly family: string;
  /** When it was activated, wall clock; 0 where none is. */
  readonly since: number;
  /** What its training told, for example `test.mae` and `test.mae.seasonal-naive`. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Live errors beside the naive forecasts, best first. */
  readonly errors: readonly {
    readonly model: string;
    readonly role: string;
    readonly error: number;
    readonly coverage: number;
    readonly scored: number;
  }[];
  /** Forecasts by the model that made them. */
  readonly forecasts: Readonly<Record<string, number>>;
}

export interface TrainingPart {
  readonly state: 'off' | 'waiting' | 'preparing' | 'training' | 'idle' | 'failed';
  /** In words: what it waits for, or why it failed. */
  readonly message: string;
  /** Artefact id of what the numbers below are about; empty until the training has ended, or where there are none. */
  readonly model: string;
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly validationLoss: number;
  /** Milliseconds; NaN where it is not known. */
  readonly remainingMs: number;
  /** Validation loss after each epoch so far, of one run: a training of two lengths begins a new one with the second. */
  readonly losses: readonly number[];
  /** Event time at which the error of the model in use began to rise for good. */
  readonly driftSince?: number | undefined;
}

export const NO_TRAINING: TrainingPart = {
  state: 'off',
  message: '',
  model: '',
  epoch: 0,
  epochs: 0,
  step: 0,
  steps: 0,
  loss: Number.NaN,
  validationLoss: Number.NaN,
  remainingMs: Number.NaN,
  losses: [],
};
