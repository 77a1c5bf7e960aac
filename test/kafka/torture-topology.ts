import type { EventLog, OutRecord } from '../../src/log/event-log.ts';
import type { PipelineChildOptions } from './pipeline-child.ts';

/** A topology that is tortured: its topics, its input, and what the outputs of that input have to be. */
export interface TortureTopology {
  readonly name: PipelineChildOptions['topology'];
  readonly inputs: readonly string[];
  readonly partitions: number;
  /** Makes the topics. @returns what is on the log before any process begins. */
  prepare(log: EventLog, where: { readonly brokers: readonly string[]; readonly prefix: string }): Promise<OutRecord[]>;
  /** The records of one hour of the input. */
  hour(hour: number): OutRecord[];
  /** Waits until what `last` would make late has been taken in. */
  settled?(log: EventLog, input: readonly OutRecord[], look: () => void): Promise<void>;
  /** What comes after the last fault. @param hour the first that was not sent. */
  last(hour: number): OutRecord[];
  /**
   * Waits until the outputs are there and compares them.
   * @param input all records, in the order of each partition.
   * @param look called again and again while it waits; throws where waiting has no end.
   */
  check(log: EventLog, input: readonly OutRecord[], look: () => void): Promise<Checked>;
}

/**
 * The input as it is on the log. Each record has to be there in its place; it may be there twice: a broker that starts
 * again forgets the producers whose last record is older than a day by its timestamp, as these are, and takes what is
 * sent again for new.
 */
export async function inputOnLog(
  log: EventLog,
  { inputs, partitions }: TortureTopology,
  appended: readonly OutRecord[],
): Promise<{ input: OutRecord[]; repeated: number; wrong: string[] }> {
  const input: OutRecord[] = [];
  const wrong: string[] = [];
  for (const topic of inputs) {
    for (let partition = 0; partition < partitions; partition++) {
      const sent = appended.filter((record) => record.topic === topic && record.partition === partition).map(line);
      const records = await contents(log, topic, partition, sent.length);
      const seen = new Set<string>();
      const once = records.map(line).filter((text) => !seen.has(text) && seen.add(text));
      const fault = difference(`${topic}/${partition}`, once, [...new Set(sent)]);
      if (fault !== undefined) wrong.push(`not what was appended: ${fault}`);
      for (const { timestamp, key, value } of records) input.push({ topic, partition, timestamp, key, value });
    }
  }
  return { input, repeated: input.length - appended.length, wrong };
}

export interface Checked {
  /** Topic to its records, as a read-committed consumer sees them. */
  readonly outputs: Record<string, number>;
  /** What is not as it has to be, in words. */
  readonly wrong: string[];
}

const LONGEST_WAIT_MS = 90_000;

/** A partition's records; waits until there are as many as are wanted: more or fewer show in the comparison. */
export async function contents(
  log: EventLog,
  topic: string,
  partition: number,
  wanted: number,
  look: () => void = () => {},
): Promise<Content[]> {
  const found: Content[] = [];
  const deadline = performance.now() + LONGEST_WAIT_MS;
  for (let at = 0; ; ) {
    const { records, nextOffset } = await log.read(topic, partition, at, { waitMs: 500 });
    for (const record of records) found.push(record);
    if (records.length === 0 && (found.length >= wanted || performance.now() > deadline)) return found;
    at = nextOffset;
    look();
  }
}

export type Content = Pick<OutRecord, 'timestamp' | 'key' | 'value'>;

/** Timestamp, key and value, to the byte. */
export function line({ timestamp, key, value }: Content): string {
  const text = (bytes: Uint8Array | null): string => (bytes === null ? 'null' : Buffer.from(bytes).toString('base64'));
  return `${timestamp} ${text(key)} ${text(value)}`;
}

/** Undefined where both are the same. */
export function difference(where: string, found: readonly string[], expected: readonly string[]): string | undefined {
  const at = expected.findIndex((line, i) => found[i] !== line);
  if (at < 0 && found.length === expected.length) return undefined;
  const first = at < 0 ? expected.length : at;
  return `${where}: ${found.length} of ${expected.length}; at ${first} ${found[first]} for ${expected[first]}`;
}
