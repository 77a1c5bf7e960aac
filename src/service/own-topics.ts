import { FleetcastError } from '../errors.ts';
import type { EventLog, TopicSpec } from '../log/event-log.ts';
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
  const { deadLetters } = namesOf(configuration);
  const specs: TopicSpec[] = [];
  for (const wanted of specsOf(configuration)) {
    const existing = await log.topic(wanted.name);
    if (log.setRetention === undefined || existing === undefined || !differs(existing, wanted)) {
      specs.push(wanted);
      continue;
    }
    const shorter = isShorter(existing, wanted);
    if (retention === 'apply' || (retention === 'lengthen' && !shorter)) {
      await log.setRetention(wanted.name, wanted);
      onNote(`topic ${wanted.name} now keeps ${keptText(wanted)}; it was ${keptText(existing)}`);
      specs.push(wanted);
      continue;
    }
    const message = `topic ${wanted.name} keeps ${keptText(existing)}, and the configuration says ${keptText(wanted)}: what is beyond it would be deleted. Start once with \`fleetcast run --shorten-retention\` for that, or change the configuration`;
    if (retention === 'lengthen' && wanted.name !== deadLetters) {
      throw new FleetcastError('LOG_TOPIC_MISMATCH', message, { details: { topic: wanted.name } });
    }
    if (retention === 'lengthen') onNote(message);
    specs.push(withRetentionOf(existing, wanted));
  }
  await log.ensureTopics(specs);
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

function keptText({ retentionMs, retentionBytes }: TopicSpec): string {
  const hours = (retentionMs ?? 0) / 3_600_000;
  const time = retentionMs === undefined ? 'records of any age' : hours % 24 === 0 ? `${hours / 24} d` : `${hours} h`;
  return retentionBytes === undefined ? time : `${time}, at most ${(retentionBytes / 1024 ** 2).toFixed(0)} MiB`;
}
