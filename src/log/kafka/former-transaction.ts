import { CompactReader, length, NO_TAGS, text } from './compact.ts';
import { CODE, KafkaError } from './kafka-errors.ts';
import { encoded, type WireBroker } from './wire.ts';

const DESCRIBE_TRANSACTIONS = 65;
const DESCRIBE_TRANSACTIONS_VERSION = 0;

const OUTCOMES: Readonly<Record<string, 'commit' | 'abort'>> = {
  PrepareCommit: 'commit',
  CompleteCommit: 'commit',
  Ongoing: 'abort',
  PrepareAbort: 'abort',
  PrepareEpochFence: 'abort',
  CompleteAbort: 'abort',
};

/**
 * How the last transaction of an id ended, or will when its next writer begins; undefined where there was none since a
 * writer began, and where the broker cannot tell (before Kafka 3.0).
 * @throws KafkaError with the answer's code.
 */
export async function formerOutcome(
  coordinator: WireBroker,
  transactionalId: string,
): Promise<'commit' | 'abort' | undefined> {
  if (coordinator.versions?.[DESCRIBE_TRANSACTIONS] === undefined) return undefined;
  const body = Buffer.concat([NO_TAGS, length(2), text(transactionalId), NO_TAGS]);
  const answer = (await coordinator.connectionPool.send({
    request: {
      apiKey: DESCRIBE_TRANSACTIONS,
      apiVersion: DESCRIBE_TRANSACTIONS_VERSION,
      apiName: 'DescribeTransactions',
      encode: async () => encoded(body),
    },
    response: { decode: async (data) => ({ outcome: decodeOutcome(data) }), parse: async (decoded) => decoded },
    logResponseError: false,
  })) as { outcome: 'commit' | 'abort' | undefined };
  return answer.outcome;
}

export function decodeOutcome(data: Buffer): 'commit' | 'abort' | undefined {
  const reader = new CompactReader(data);
  reader.tags();
  reader.at += 4;
  if (reader.length() < 2) return undefined;
  const code = data.readInt16BE(reader.at);
  reader.at += 2;
  const id = reader.text();
  const state = reader.text();
  if (code === CODE.TRANSACTIONAL_ID_NOT_FOUND) return undefined;
  if (code !== 0) throw new KafkaError(code, `the last transaction of ${id}`);
  return OUTCOMES[state];
}
