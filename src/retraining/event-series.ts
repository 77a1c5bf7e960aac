import { FleetcastError } from '../errors.ts';
import type { Reading } from '../events/records.ts';
import type { OffsetRange } from '../models/model.ts';
import { Quality } from '../operators/quality.ts';
import { decodeReading } from '../pipelines/forecasting.ts';
import { runPartition } from '../pipelines/partition-run.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import { TopologyBuilder } from '../topology/builder.ts';
import type { Desk } from './publisher.ts';

/** What one device has reported, in the order of the log. */
export interface EventSeries {
  readonly device: string;
  readonly codes: readonly number[];
  /** Event times, milliseconds. */
  readonly times: readonly number[];
}

/** Windows of events with the one that follows, and when that came. */
export interface EventWindows {
  readonly count: number;
  /** `[count, steps]` */
  readonly x: Float32Array;
  /** `[count]` */
  readonly y: Float32Array;
  readonly steps: number;
}

export interface EventSplit {
  readonly train: EventWindows;
  readonly validation: EventWindows;
  readonly test: EventWindows;
  /** Event times: labels of the training part are before `trainEnd`, of the validation part before `validationEnd`. */
  readonly trainEnd: number;
  readonly validationEnd: number;
}

/** Fewer windows teach nothing. */
const LEAST_WINDOWS = 100;

/** Reads the events on the log through the operator that the stream uses: what it turns away is not learnt from. */
export async function readEvents(
  { log }: Pick<Desk, 'log'>,
  config: PipelineConfig,
  signal?: AbortSignal,
): Promise<{ series: EventSeries[]; ranges: OffsetRange[] }> {
  const { topics, quality, events } = config;
  if (events === undefined) throw new FleetcastError('USAGE', 'the configuration has no section events');
  const topic = topics.readings;
  const builder = new TopologyBuilder('events');
  builder
    .source<Reading>('readings', { topic, codec: { decode: decodeReading } })
    .process('quality', () => new Quality({ ...quality, origin: topic }))
    .sink('good', { topic: 'good', encode: () => ({ key: null, value: null }) });
  const topology = builder.build();
  const found = new Map<string, { codes: number[]; times: number[] }>();
  const onSink = (_sink: string, record: { key: string; value: unknown; time: number }) => {
    const code = (record.value as Reading).values[events.quantity];
    if (code === undefined || !Number.isInteger(code) || code < 0 || code >= events.codes) return;
    const known = found.get(record.key) ?? { codes: [], times: [] };
    found.set(record.key, known);
    known.codes.push(code);
    known.times.push(record.time);
  };
  const ranges: OffsetRange[] = [];
  const { partitions } = (await log.topic(topic))!;
  for (let partition = 0; partition < partitions; partition++) {
    const { earliest, end } = await log.offsets(topic, partition);
    ranges.push({ topic, partition, from: earliest, to: end });
    const run = runPartition({
      ...{ log, topology, partition, until: end, onSink, deadLetterTopic: topics.deadLetters },
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const _ of run) signal?.throwIfAborted();
  }
  const series = [...found].map(([device, { codes, times }]) => ({ device, codes, times }));
  return { series: series.sort((a, b) => (a.device < b.device ? -1 : 1)), ranges };
}

/**
 * Chronological parts by the time of the event to forecast: 70 % to train, 15 % to validate, the rest to test.
 * @throws TRAINING_TOO_LITTLE_DATA
 */
export function splitEvents(series: readonly EventSeries[], steps: number): EventSplit {
  const times = series.flatMap((one) => one.times.slice(steps)).sort((a, b) => a - b);
  if (times.length < LEAST_WINDOWS) {
    throw new FleetcastError(
      'TRAINING_TOO_LITTLE_DATA',
      `${series.length} devices have ${times.length} events after ${steps} others, ${LEAST_WINDOWS} are needed`,
    );
  }
  const trainEnd = times[Math.floor(0.7 * times.length)]!;
  const validationEnd = times[Math.floor(0.85 * times.length)]!;
  const part = (from: number, to: number): EventWindows => {
    const rows = series.flatMap((one) =>
      one.times.flatMap((time, i) => (i >= steps && time >= from && time < to ? [{ codes: one.codes, at: i }] : [])),
    );
    const x = new Float32Array(rows.length * steps);
    rows.forEach(({ codes, at }, row) => {
      x.set(codes.slice(at - steps, at), row * steps);
    });
    return { count: rows.length, x, y: Float32Array.from(rows, ({ codes, at }) => codes[at]!), steps };
  };
  return {
    train: part(-Infinity, trainEnd),
    validation: part(trainEnd, validationEnd),
    test: part(validationEnd, Infinity),
    trainEnd,
    validationEnd,
  };
}

/** Share of the windows whose next event a simple rule of the training part forecasts. */
export function naiveAccuracies(train: EventWindows, test: EventWindows, codes: number): Record<string, number> {
  const counts = new Float64Array(codes);
  const pairs = Array.from({ length: codes }, () => new Float64Array(codes));
  const last = ({ x, steps }: EventWindows, row: number) => x[(row + 1) * steps - 1]!;
  for (let row = 0; row < train.count; row++) {
    const label = train.y[row]!;
    counts[label] = counts[label]! + 1;
    const pair = pairs[last(train, row)]!;
    pair[label] = pair[label]! + 1;
  }
  const frequent = largest(counts);
  const followers = pairs.map((pair) => (pair.some((count) => count > 0) ? largest(pair) : frequent));
  const share = (rule: (row: number) => number) => {
    let right = 0;
    for (let row = 0; row < test.count; row++) if (rule(row) === test.y[row]) right++;
    return right / test.count;
  };
  return {
    'most-frequent': share(() => frequent),
    'last-event': share((row) => last(test, row)),
    'last-transition': share((row) => followers[last(test, row)]!),
  };
}

function largest(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
