import type { ServiceStatus } from '../status.ts';
import type { FleetView } from '../view/fleet-view.ts';

/** What the HTTP interfaces show. */
export interface PageSource {
  status(): ServiceStatus;
  readonly view: FleetView;
  /** The topology, as text and as Mermaid. */
  describe(): { readonly text: string; readonly mermaid: string };
  /** Prometheus text. */
  metrics(): Promise<{ readonly type: string; readonly body: string }>;
}
