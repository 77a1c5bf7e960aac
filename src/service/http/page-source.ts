import type { ServiceStatus } from '../status.ts';
import type { FleetView } from '../view/fleet-view.ts';

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
  /** Puts the model before the present one in use again. @returns its id. @throws MODEL_UNKNOWN */
  rollBack(reason: string): Promise<string>;
  /** State of a node for one key as of the last commit; undefined where there is none here. @throws USAGE */
  state(node: string, store: string, key: string): Promise<unknown>;
  /** Prometheus text. */
  metrics(): Promise<{ readonly type: string; readonly body: string }>;
}

export interface ModelRow {
  readonly id: string;
  readonly name: string;
  readonly family: string;
  readonly status: string;
  readonly createdAt: number;
  readonly reason: string;
  readonly metrics: Readonly<Record<string, number>>;
}
