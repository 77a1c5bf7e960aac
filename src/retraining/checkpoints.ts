import type { EventLog, OutRecord } from '../log/event-log.ts';
import { CHECKPOINT_KEY } from '../pipelines/model-registry.ts';
import type { TrainingRequest } from './request.ts';
import { scan } from './scan.ts';

/**
 * Larger ones stay away from the log: the training is then done again from its beginning. A record may have
 * 16 MiB on Kafka; a segment LSTM of width 128 needs 1.7 MB.
 */
const MOST_BYTES = 12 * 2 ** 20;
const HEADER = 8;

/**
 * The state of the training that runs, on the topic `models` under a key of its own: compaction keeps the newest, and a
 * learner that follows a dead one goes on from it. `undefined` for one that is too large.
 */
export function checkpointRecord(topic: string, request: TrainingRequest, state: Uint8Array): OutRecord | undefined {
  if (state.length > MOST_BYTES) return undefined;
  const value = Buffer.alloc(HEADER + state.length);
  value.writeDoubleLE(request.time, 0);
  value.set(state, HEADER);
  return { topic, partition: 0, timestamp: request.time, key: keyOf(request), value };
}

/** Removes it; goes with the event that ends the training. */
export function noCheckpoint(topic: string, request: TrainingRequest, time: number): OutRecord {
  return { topic, partition: 0, timestamp: time, key: keyOf(request), value: null };
}

/** The newest checkpoint of a request, or undefined. */
export async function readCheckpoint(
  log: EventLog,
  topic: string,
  request: TrainingRequest,
): Promise<Uint8Array | undefined> {
  const wanted = keyOf(request);
  const { earliest, end } = await log.offsets(topic, 0);
  let found: Uint8Array | null = null;
  for await (const { records } of scan(log, topic, 0, { from: earliest, to: end })) {
    for (const { key, value } of records) if (key !== null && wanted.equals(key)) found = value;
  }
  if (found === null || found.length < HEADER) return undefined;
  const bytes = Buffer.from(found);
  return bytes.readDoubleLE(0) === request.time ? bytes.subarray(HEADER) : undefined;
}

function keyOf({ name }: TrainingRequest): Buffer {
  return Buffer.from(`${CHECKPOINT_KEY}${name}`);
}
