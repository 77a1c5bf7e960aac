import type { FormatLimits } from '../formats/bounds.ts';
import type { MappingLimits } from './config.ts';

/** What a decoder may make of a payload: as many values as fit into a message of many parts. */
export function formatLimits(limits: MappingLimits): FormatLimits {
  return { maxDepth: limits.maxDepth, maxNodes: 100_000 };
}
