import type { PresetOptions, RuleConfig } from '../mapping/config.ts';

/** The mapping of a family of devices, in the mapping's own language. */
export interface Preset {
  readonly name: string;
  /** For people: what it is for, and what it leaves out. */
  readonly description: string;
  /** The first level of the topics where the options name none; undefined where devices stand at the top. */
  readonly base: string | undefined;
  rules(options: PresetOptions): readonly RuleConfig[];
}

/** Topics with messages that are no telemetry: counted as `no-values`, whatever they hold. */
export function noTelemetry(...topics: readonly string[]): readonly RuleConfig[] {
  return topics.map((topic) => ({ topic, ignore: 'no-values' }));
}
