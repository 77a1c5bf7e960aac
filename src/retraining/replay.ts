import { FleetcastError } from '../errors.ts';
import { decodeRecord, encodeRecord, HEADER, schemaOf } from '../events/codec.ts';
import type { DeadLetter } from '../events/records.ts';
import type { EventLog, LogRecord, OutRecord } from '../log/event-log.ts';
import type { ServedModel } from '../operators/served-model.ts';
import type { ModelSource } from '../pipelines/activation.ts';
import { forecastingTopology } from '../pipelines/forecasting.ts';
import { runPartition } from '../pipelines/partition-run.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import { scan } from './scan.ts';

export interface ReplayOptions {
  readonly log: EventLog;
  /** Topics and settings; another configuration than the live one answers a what-if. */
  readonly config: PipelineConfig;
  readonly models: ModelSource;
  /** Serves from the first record on, instead of the models that the activations name. */
  readonly model?: ServedModel;
  /** Ingest times, milliseconds: outputs caused at or after `from` and before `to`. State is built from the first record on. */
  readonly from?: number;
  readonly to?: number;
  readonly onProgress?: (progress: ReplayProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ReplayProgress {
  readonly partition: number;
  readonly partitions: number;
  /** Outputs so far. */
  readonly outputs: number;
}

export interface ReplayResult {
  /** Outputs by topic. */
  readonly outputs: Readonly<Record<string, number>>;
}

/**
 * Runs the recorded input again, as fast as it goes, and writes the outputs to topics of their own: the live names with
 * `prefix` before them. The live ones are only read.
 * @throws USAGE where those topics hold records
 */
export async function replay(options: ReplayOptions & { readonly prefix: string }): Promise<ReplayResult> {
  const { log, config, prefix } = options;
  const { topics } = config;
  for (const name of outputTopics(config)) await prepareTopic(log, name, `${prefix}${name}`);
  const outputs: Record<string, number> = {};
  const { partitions } = (await log.topic(topics.readings))!;
  for (let partition = 0; partition < partitions; partition++) {
    const { end } = await log.offsets(topics.readings, partition);
    for await (const records of outputsOf(options, partition, end)) {
      await log.append(records.map((record) => ({ ...record, topic: `${prefix}${record.topic}` })));
      for (const { topic } of records) outputs[topic] = (outputs[topic] ?? 0) + 1;
      options.onProgress?.({ partition, partitions, outputs: sum(outputs) });
    }
  }
  return { outputs };
}

export interface Difference {
  readonly topic: string;
  readonly partition: number;
  /** Offset in the live topic; −1 where the replay made a record that is not there. */
  readonly offset: number;
  /** Fields that differ, or what is missing. */
  readonly what: string;
  readonly live: unknown;
  readonly replayed: unknown;
}

export interface Verification {
  readonly compared: number;
  /** The first difference of each topic and partition. */
  readonly differences: readonly Difference[];
  /** Partitions whose input no longer begins at offset 0: what came before is missing from the replay's state. */
  readonly cut: readonly number[];
}

/**
 * Replays and compares with what is on the live topics, byte by byte. Of the compacted history, the last record of each
 * key counts. What retention has removed from the live topics is passed over.
 * @param until by partition, offset of `readings` up to which the live pipeline has committed
 */
export async function verifyReplay(
  options: ReplayOptions & { readonly until: readonly number[] },
): Promise<Verification> {
  const { log, config, until } = options;
  const { topics } = config;
  const differences: Difference[] = [];
  const cut: number[] = [];
  let compared = 0;
  const { partitions } = (await log.topic(topics.readings))!;
  for (let partition = 0; partition < partitions; partition++) {
    if ((await log.offsets(topics.readings, partition)).earliest > 0) cut.push(partition);
    const live = new Map<string, LiveReader>();
    const history = new Map<string, OutRecord>();
    for (const topic of outputTopics(config)) {
      if (topic !== topics.history) live.set(topic, new LiveReader(log, topic, partition, topics.readings));
    }
    const broken = new Set<string>();
    for await (const records of outputsOf(options, partition, until[partition] ?? 0)) {
      for (const record of records) {
        if (record.topic === topics.history) {
          history.set(Buffer.from(record.key!).toString(), record);
          continue;
        }
        if (broken.has(record.topic)) continue;
        const difference = await live.get(record.topic)!.compare(record);
        if (difference === 'before') continue;
        compared++;
        if (difference === undefined) continue;
        differences.push(difference);
        broken.add(record.topic);
      }
      options.onProgress?.({ partition, partitions, outputs: compared });
    }
    const found = await compareHistory(log, topics.history, partition, history);
    compared += history.size;
    if (found !== undefined) differences.push(found);
  }
  return { compared, differences, cut };
}

/** @throws USAGE where the topic holds records: those of the pipeline itself, or of another replay */
async function prepareTopic(log: EventLog, name: string, own: string): Promise<void> {
  const spec = await log.topic(name);
  if (spec === undefined) return;
  await log.ensureTopics([{ ...spec, name: own }]);
  for (let partition = 0; partition < spec.partitions; partition++) {
    if ((await log.offsets(own, partition)).end === 0) continue;
    throw new FleetcastError('USAGE', `the topic ${own} holds records already; choose another prefix`);
  }
}

function outputTopics({ topics, events }: PipelineConfig): string[] {
  return [
    ...(events === undefined ? [] : [topics.nextEvents]),
    topics.forecasts,
    topics.scores,
    topics.alerts,
    topics.history,
    topics.deadLetters,
  ];
}

async function* outputsOf(
  options: ReplayOptions,
  partition: number,
  until: number,
): AsyncGenerator<readonly OutRecord[]> {
  const { log, config, models, model, from = -Infinity, to = Infinity, signal } = options;
  const run = runPartition({
    log,
    topology: forecastingTopology(config, models),
    partition,
    until,
    deadLetterTopic: config.topics.deadLetters,
    ...(model === undefined ? {} : { first: championFrom(config.model, model), accept: isNoActivation }),
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const records of run) {
    yield records.filter(({ timestamp }) => timestamp >= from && timestamp < to);
    // Ingest times of a partition need not ascend strictly, but they do not go back by more than a batch.
    if (records.length > 0 && records.every(({ timestamp }) => timestamp >= to)) return;
  }
}

function championFrom(name: string, served: ServedModel) {
  const activation = {
    type: 'Activation',
    name,
    modelId: served.model.id,
    role: 'champion',
    time: 0,
    reason: 'replay',
  };
  return { activation, served, refusal: '' };
}

function isNoActivation({ value }: LogRecord): boolean {
  return value === null || schemaOf(value) !== 'Activation';
}

/** Reads a live topic alongside a replay. */
class LiveReader {
  readonly #log: EventLog;
  readonly #topic: string;
  readonly #partition: number;
  readonly #input: string;
  #next = -1;
  #records: readonly LogRecord[] = [];
  #at = 0;

  constructor(log: EventLog, topic: string, partition: number, input: string) {
    this.#log = log;
    this.#topic = topic;
    this.#partition = partition;
    this.#input = input;
  }

  /** `before`: caused by input whose live outputs retention has removed. */
  async compare(replayed: OutRecord): Promise<Difference | 'before' | undefined> {
    const first = this.#next < 0;
    const live = await this.#take();
    if (live === undefined) return this.#difference(-1, 'the live topic ends before it', undefined, replayed.value);
    if (first && offsetOf(replayed.value!) < offsetOf(live.value!)) {
      this.#at--;
      this.#next = -1;
      return 'before';
    }
    if (
      sameRecord(live.value, replayed.value) &&
      equal(live.key, replayed.key) &&
      live.timestamp === replayed.timestamp
    ) {
      return undefined;
    }
    return this.#difference(live.offset, fieldsThatDiffer(live.value, replayed.value), live.value, replayed.value);
  }

  #difference(
    offset: number,
    what: string,
    live: Uint8Array | null | undefined,
    replayed: Uint8Array | null,
  ): Difference {
    const read = (bytes: Uint8Array | null | undefined) => (bytes ? decodeRecord(bytes) : undefined);
    return { topic: this.#topic, partition: this.#partition, offset, what, live: read(live), replayed: read(replayed) };
  }

  /** The next record that the pipeline wrote: dead letters of the bridge lie between its own. */
  async #take(): Promise<LogRecord | undefined> {
    for (;;) {
      while (this.#at < this.#records.length) {
        const record = this.#records[this.#at++]!;
        if (this.#next < 0) this.#next = record.offset;
        if (schemaOf(record.value!) !== 'DeadLetter') return record;
        if ((decodeRecord(record.value!) as DeadLetter).origin === this.#input) return record;
      }
      const { earliest, end } = await this.#log.offsets(this.#topic, this.#partition);
      const next = this.#records.length === 0 ? earliest : this.#records.at(-1)!.offset + 1;
      if (next >= end) return undefined;
      this.#records = (await this.#log.read(this.#topic, this.#partition, next, { maxRecords: 1000 })).records;
      this.#at = 0;
      if (this.#records.length === 0) return undefined;
    }
  }
}

async function compareHistory(
  log: EventLog,
  topic: string,
  partition: number,
  replayed: Map<string, OutRecord>,
): Promise<Difference | undefined> {
  const live = new Map<string, LogRecord>();
  const { earliest, end } = await log.offsets(topic, partition);
  for await (const { records } of scan(log, topic, partition, { from: earliest, to: end })) {
    for (const record of records) live.set(Buffer.from(record.key!).toString(), record);
  }
  for (const [key, record] of replayed) {
    const held = live.get(key);
    if (held !== undefined && sameRecord(held.value, record.value)) continue;
    const offset = held?.offset ?? -1;
    const what = held === undefined ? 'the live topic lacks it' : fieldsThatDiffer(held.value, record.value);
    const read = (bytes: Uint8Array | null | undefined) => (bytes ? decodeRecord(bytes) : undefined);
    return { topic, partition, offset, what, live: read(held?.value), replayed: read(record.value) };
  }
  return undefined;
}

function fieldsThatDiffer(live: Uint8Array | null, replayed: Uint8Array | null): string {
  if (live === null || replayed === null) return 'one of the two is a tombstone';
  const one = decodeRecord(live) as unknown as Record<string, unknown>;
  const other = decodeRecord(replayed) as unknown as Record<string, unknown>;
  const fields = Object.keys(one).filter((field) => JSON.stringify(one[field]) !== JSON.stringify(other[field]));
  if (fields.includes('arithmetic'))
    return `made with version ${one['arithmetic']} of the arithmetic, this is ${other['arithmetic']}`;
  return fields.length > 0 ? `differs in ${fields.join(', ')}` : 'differs in key or timestamp';
}

function offsetOf(value: Uint8Array): number {
  const record = decodeRecord(value);
  if (record.type === 'DeadLetter') return record.offset;
  return 'inputOffset' in record ? record.inputOffset : 0;
}

/** Bytes that an earlier version of the program wrote are compared as what they say in today's schema. */
function sameRecord(live: Uint8Array | null, replayed: Uint8Array | null): boolean {
  if (equal(live, replayed)) return true;
  if (live === null || replayed === null || equal(live.subarray(0, HEADER), replayed.subarray(0, HEADER))) return false;
  return schemaOf(live) === schemaOf(replayed) && equal(encodeRecord(decodeRecord(live)), replayed);
}

function equal(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
