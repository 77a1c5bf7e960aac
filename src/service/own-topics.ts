import { FleetcastError } from '../errors.ts';
import type { EventLog, TopicSpec } from '../log/event-log.ts';
import { requireSameTopic } from '../log/topic-spec.ts';
import type { Configuration } from './configuration/schema.ts';
import { namesOf, specsOf } from './pipeline-settings.ts';

export interface OwnTopicsOptions {
  /**
   * Of a log that has no tools of its own (the embedded one), where a topic keeps its records for another time or size than
   * the configuration says. `keep`: it stays. `lengthen`: it changes where nothing is lost by that, otherwise the start
   * fails; the size of the dead letters then stays as it was. `apply`: it changes, also where records go for it.
   */
  readonly retention: 'keep' | 'lengthen' | 'apply';
  /** Told of each topic that was changed, or stays as it was although the configuration says otherwise. */
  readonly onNote?: (message: string) => void;
}

/**
 * Creates what is missing.
 * @throws LOG_TOPIC_MISMATCH
 */
export async function ensureOwnTopics(
  log: EventLog,
  configuration: Configuration,
  { retention, onNote = () => {} }: OwnTopicsOptions,
): Promise<void> {
  const settled: SettledRetention[] = [];
  for (const wanted of specsOf(configuration)) {
    const existing = log.setRetention === undefined ? undefined : await log.topic(wanted.name);
    if (existing === undefined) settled.push({ spec: wanted, changes: false });
    else settled.push(settleRetention(existing, wanted, configuration, retention));
  }
  // Only now: where one topic is refused, none loses records.
  for (const { spec, changes, note } of settled) {
    if (changes) await log.setRetention?.(spec.name, spec);
    if (note !== undefined) onNote(`topic ${spec.name} ${note}`);
  }
  await log.ensureTopics(settled.map(({ spec }) => spec));
}

export interface SettledRetention {
  /** The topic as it is from now on. */
  readonly spec: TopicSpec;
  /** Its retention becomes another one. */
  readonly changes: boolean;
  /** What is to be told of it, after the topic's name. */
  readonly note?: string;
}

/**
 * What becomes of the retention of a topic of the embedded log.
 * @throws LOG_TOPIC_MISMATCH where records would go that nobody has given up, and where something else differs
 */
export function settleRetention(
  existing: TopicSpec,
  wanted: TopicSpec,
  configuration: Configuration,
  retention: OwnTopicsOptions['retention'],
): SettledRetention {
  const other = differs(existing, wanted);
  requireSameTopic(other ? { ...wanted, partitions: existing.partitions } : existing, wanted);
  if (!other) return { spec: wanted, changes: false };
  if (retention === 'apply' || (retention === 'lengthen' && !isShorter(existing, wanted))) {
    return { spec: wanted, changes: true, note: `now keeps ${keptText(wanted)}; it was ${keptText(existing)}` };
  }
  const stays = { spec: withRetentionOf(existing, wanted), changes: false };
  if (retention === 'keep') return stays;
  const note = `keeps ${keptText(existing)}, and the configuration says ${keptText(wanted)}: what is beyond it would be deleted. Start once with \`fleetcast run --shorten-retention\` for that, or change the configuration`;
  if (wanted.name === namesOf(configuration).deadLetters) return { ...stays, note };
  const { name } = wanted;
  throw new FleetcastError('LOG_TOPIC_MISMATCH', `topic ${name} ${note}`, { details: { topic: name } });
}

function differs(existing: TopicSpec, wanted: TopicSpec): boolean {
  return (
    wanted.cleanup === 'delete' &&
    existing.cleanup === 'delete' &&
    (existing.retentionMs !== wanted.retentionMs || existing.retentionBytes !== wanted.retentionBytes)
  );
}

function isShorter(existing: TopicSpec, wanted: TopicSpec): boolean {
  const less = (a = Number.POSITIVE_INFINITY, b = Number.POSITIVE_INFINITY): boolean => a < b;
  return less(wanted.retentionMs, existing.retentionMs) || less(wanted.retentionBytes, existing.retentionBytes);
}

function withRetentionOf({ retentionMs, retentionBytes }: TopicSpec, wanted: TopicSpec): TopicSpec {
  const { retentionMs: _, retentionBytes: __, ...rest } = wanted;
  return {
    ...rest,
    ...(retentionMs === undefined ? {} : { retentionMs }),
    ...(retentionBytes === undefined ? {} : { retentionBytes }),
  };
}

/** How long and how much a topic keeps, in words. */
export function keptText({ retentionMs, retentionBytes }: TopicSpec): string {
  const hours = (retentionMs ?? 0) / 3_600_000;
  const time = retentionMs === undefined ? 'records of any age' : hours % 24 === 0 ? `${hours / 24} d` : `${hours} h`;
  return retentionBytes === undefined ? time : `${time}, at most ${(retentionBytes / 1024 ** 2).toFixed(0)} MiB`;
}
