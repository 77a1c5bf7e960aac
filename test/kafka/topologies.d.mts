import type { EventLog } from '../../src/log/event-log.ts';
import type { PipelineConfig } from '../../src/pipelines/pipeline-config.ts';

export const config: PipelineConfig;
/** A topology of the built package: the engine of the sources runs it as well. */
export function topologyOf(name: 'forecasting' | 'joins' | 'sums-1' | 'sums-2' | 'sums-3', log: EventLog): unknown;
