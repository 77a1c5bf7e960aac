import { existsSync } from 'node:fs';
import type { EventLog } from '../log/event-log.ts';
import { checkHistoryInterval } from '../retraining/history-interval.ts';
import type { LoadedConfiguration } from './configuration/load.ts';
import { kafkaOptions, logFolder, openLog } from './open-log.ts';
import { keptText, type OwnTopicsOptions, settleRetention } from './own-topics.ts';
import { namesOf, pipelineOf, specsOf } from './pipeline-settings.ts';

/**
 * What the start of the service would do about its topics, a line for each; nothing is done, no folder made.
 * @throws what the start would be refused for: LOG_TOPIC_MISMATCH, HISTORY_INTERVAL; and LOG_UNAVAILABLE
 */
export async function planStart(
  configuration: LoadedConfiguration,
  retention: OwnTopicsOptions['retention'],
): Promise<string[]> {
  const folder = logFolder(configuration);
  const log = folder === undefined || existsSync(folder) ? await openLog(configuration) : undefined;
  try {
    const lines =
      folder === undefined ? await onKafka(configuration) : await onEmbeddedLog(log, configuration, retention);
    if (log !== undefined) {
      await checkHistoryInterval(log, namesOf(configuration).history, pipelineOf(configuration).interval);
    }
    return lines;
  } finally {
    await log?.close();
  }
}

async function onKafka(configuration: LoadedConfiguration): Promise<string[]> {
  const { planKafkaTopics } = await import('../log/kafka/kafka-log.ts');
  return planKafkaTopics(kafkaOptions(configuration), specsOf(configuration));
}

async function onEmbeddedLog(
  log: EventLog | undefined,
  configuration: LoadedConfiguration,
  retention: OwnTopicsOptions['retention'],
): Promise<string[]> {
  const lines: string[] = [];
  for (const wanted of specsOf(configuration)) {
    const { name, partitions, cleanup } = wanted;
    const existing = await log?.topic(name);
    if (existing === undefined) lines.push(`topic ${name}: create with ${partitions} partitions, ${cleanup}`);
    else {
      const { spec, changes, note } = settleRetention(existing, wanted, configuration, retention);
      const change = changes ? `keep ${keptText(spec)}, no longer ${keptText(existing)}` : undefined;
      lines.push(`topic ${name}: ${change ?? note ?? 'exists as wanted'}`);
    }
  }
  return lines;
}
