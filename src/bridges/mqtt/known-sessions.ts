import type { EventLog, OutRecord } from '../../log/event-log.ts';

/** Keys of the bridge's memory topic that begin so are none of the mapping's. */
export const SESSION_KEY = 'mqtt-session/';

/** The key that stands for a session: a client id at a broker. @param url without credentials */
function sessionKey(clientId: string, url: string): string {
  return `${SESSION_KEY}${JSON.stringify([clientId, url])}`;
}

/** Whether an earlier bridge has begun this session, as the memory topic tells. */
export async function knowsSession(
  log: EventLog,
  topic: { readonly name: string; readonly partitions: number },
  clientId: string,
  url: string,
): Promise<boolean> {
  const wanted = sessionKey(clientId, url);
  for (let partition = 0; partition < topic.partitions; partition++) {
    const { earliest, end } = await log.offsets(topic.name, partition);
    for (let offset = earliest; offset < end; ) {
      const batch = await log.read(topic.name, partition, offset, { maxRecords: 1000, maxBytes: 4_000_000 });
      if (batch.records.some(({ key }) => key !== null && Buffer.from(key).toString('utf8') === wanted)) return true;
      if (batch.nextOffset <= offset) break;
      offset = batch.nextOffset;
    }
  }
  return false;
}

/** What makes {@link knowsSession} true from now on. */
export function sessionRecord(topic: string, clientId: string, url: string, timestamp: number): OutRecord {
  const value = Buffer.from(JSON.stringify({ since: timestamp }));
  return { topic, partition: 0, timestamp, key: Buffer.from(sessionKey(clientId, url)), value };
}
