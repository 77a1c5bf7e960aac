import type { OffsetRange } from '../../models/model.ts';
import type { Explanation } from '../../retraining/explain.ts';
import type { EngineStateReader } from '../../topology/state-search.ts';
import type { ServiceStatus } from '../status.ts';
import type { FleetView } from '../view/fleet-view.ts';
import type { ModelTrack } from '../view/model-history.ts';

/** What the HTTP interfaces show. */
export interface PageSource {
  status(): ServiceStatus;
  readonly view: FleetView;
  /** The topology, as text and as Mermaid. */
  describe(): { readonly text: string; readonly mermaid: string };
  /** All models on the log, newest first. */
  models(): Promise<readonly ModelRow[]>;
  /** Puts a model in use. @returns its id. @throws MODEL_UNKNOWN, MODEL_INVALID */
  promote(id: string, reason: string): Promise<string>;
  /** Takes a model out of use or out of the shadow. @returns its id. @throws MODEL_UNKNOWN */
  retire(id: string, reason: string): Promise<string>;
  /** Where the newest forecast of a series comes from, as text and as data. @throws USAGE, STATE_LOG_CUT */
  explain(device: string, quantity: string): Promise<{ readonly text: string; readonly explanation: Explanation }>;
  /** Asks the learner for a training. @returns when it was asked for, as text. @throws USAGE while one is open */
  train(options: TrainingWish, reason: string): Promise<string>;
  /** Puts the model before the present one in use again. @returns its id. @throws MODEL_UNKNOWN */
  rollBack(reason: string): Promise<string>;
  /** State of a node by key and range, as of the last commit. @throws USAGE */
  state(node: string, store: string): EngineStateReader;
  /** Prometheus text. */
  metrics(): Promise<{ readonly type: string; readonly body: string }>;
}

/** What a training by hand may be restricted to. */
export interface TrainingWish {
  /** Series keys; all where left out. */
  readonly series?: readonly string[];
  /** Event times of the buckets to use, milliseconds. */
  readonly from?: number;
  readonly to?: number;
}

export interface ModelRow {
  readonly id: string;
  readonly name: string;
  readonly family: string;
  readonly status: string;
  readonly createdAt: number;
  readonly reason: string;
  readonly metrics: Readonly<Record<string, number>>;
  /** What it was trained on: offsets of the history, and until when. */
  readonly trainedOn: {
    readonly ranges: readonly OffsetRange[];
    readonly until: number;
    readonly windows: number;
    readonly seed: number;
    readonly trainer: string;
    readonly parent: string;
  };
  /** What became of it, oldest first. */
  readonly life: readonly { readonly kind: string; readonly time: number; readonly reason: string }[];
  /** Errors and coverage on the stream, by horizon step and day; undefined before the first score. */
  readonly live: ModelTrack | undefined;
}
