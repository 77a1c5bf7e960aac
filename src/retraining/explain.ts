import { FleetcastError, isFleetcastError } from '../errors.ts';
import { decode, decodeRecord, encodeRecord, schemaOf } from '../events/codec.ts';
import { type Activation, type Forecast, type Reading, seriesKey } from '../events/records.ts';
import type { EventLog, LogRecord } from '../log/event-log.ts';
import { partitionFor } from '../log/partitioner.ts';
import { inputNames, isPresent, maskInput } from '../models/inputs/mask.ts';
import type { OffsetRange, Scaler } from '../models/model.ts';
import { standardise } from '../models/standardise.ts';
import { isNaiveName, LAST_VALUE, SEASONAL_NAIVE } from '../operators/baselines.ts';
import { ANY_SERIES, idIn, scaleFor } from '../operators/forecast.ts';
import { type Bucket, type ForecastCandidates, type SeriesWindow, scaleOf } from '../operators/items.ts';
import type { ServedModel } from '../operators/served-model.ts';
import type { Scale } from '../operators/window-ring.ts';
import type { ModelSource } from '../pipelines/activation.ts';
import { forecastingTopology, TAPS } from '../pipelines/forecasting.ts';
import { runPartition } from '../pipelines/partition-run.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import { championFrom } from './replay.ts';
import { scan } from './scan.ts';

export interface ExplainedBucket {
  readonly start: number;
  /** As the model saw it; null where the readings that are left do not prove it. */
  readonly value: number | null;
  /** False where it was empty and filled with the value before it. */
  readonly measured: boolean;
  /** A late reading changed it before the forecast was made. */
  readonly corrected: boolean;
  /** Readings in it, with their offsets in the partition of `readings`. */
  readonly readings: readonly { readonly offset: number; readonly time: number; readonly value: number }[];
  /**
   * How much the mean of the forecast would change if this bucket had the window's mean instead: occlusion, in units. Null
   * with the value.
   */
  readonly contribution: number | null;
}

export interface ExplainedInput {
  /** A quantity of the device, `hour`, `weekday`, or a static. */
  readonly name: string;
  /** False for a quantity that the device had no window of: it was masked. */
  readonly present: boolean;
  /** How much the mean of the forecast would change without it, in units. */
  readonly contribution: number;
}

export interface Explanation {
  readonly forecast: Forecast;
  /** Where the forecast is. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The whole record was made again from the recorded input: is it the same, bit for bit? Null: it cannot be made again. */
  readonly identical: boolean | null;
  /** Fields that differ where it is not. */
  readonly differences: readonly string[];
  /** The values at least were made again, bit for bit: then the window is the one that the model saw. */
  readonly valuesIdentical: boolean;
  readonly model: ExplainedModel;
  /** Mean and deviation are null where they cannot be told any more. */
  readonly scaler: {
    readonly kind: Scaler['kind'];
    readonly mean: number | null;
    readonly deviation: number | null;
  };
  readonly interval: { readonly level: number; readonly halfWidths: readonly number[] };
  /**
   * All of it, where the input is whole. Else, of a naive forecast what it copies; and where not even the values could be
   * made again, the buckets that readings are left of.
   */
  readonly window: readonly ExplainedBucket[];
  /** What the model saw beside the window; empty for one that sees its own series alone. */
  readonly inputs: readonly ExplainedInput[];
  /** False where the input no longer begins at the partition's first record: the state is built from what is left. */
  readonly whole: boolean;
  /** What retention has taken: offsets before `firstKept` of the readings. Undefined where the input is whole. */
  readonly gone?: GoneInput;
}

export interface GoneInput {
  readonly topic: string;
  readonly partition: number;
  readonly firstKept: number;
}

export interface ExplainedModel {
  readonly name: string;
  /** `naive`, that of the artefact, or `unknown` where the artefact is gone from the log. */
  readonly family: string;
  /**
   * Offset in the partition of `readings` from which it served; −1 for a naive forecast, null where that record is gone.
   */
  readonly since: number | null;
  readonly reason: string;
  readonly trainedOn: readonly OffsetRange[];
  readonly trainEnd: number;
  readonly metrics: Readonly<Record<string, number>>;
}

export interface ExplainOptions {
  readonly log: EventLog;
  readonly config: PipelineConfig;
  /** One that throws MODEL_UNKNOWN for what is not on the log; one that waits would wait for ever. */
  readonly models: ModelSource;
  /** The place of the forecast, or which one is meant: the newest of the series at or before `origin`. */
  readonly which:
    | { readonly partition: number; readonly offset: number }
    | { readonly device: string; readonly quantity: string; readonly origin?: number };
  readonly signal?: AbortSignal;
}

/**
 * Tells where a forecast comes from: runs the device's recorded input again up to the record that caused it, and takes
 * apart what the model saw. Where retention has taken part of that input, it says so, and shows only what is proven by
 * values that come out the same, bit for bit, and what the log still holds.
 * @throws USAGE where there is no such forecast, MODEL_UNKNOWN where a model that the input names is gone
 */
export async function explain(options: ExplainOptions): Promise<Explanation> {
  const { log, config, models } = options;
  const { topics, shape, interval } = config;
  const found = await find(options);
  const { forecast, partition, offset } = found;
  const { device, quantity, inputOffset } = forecast;
  const firstKept = (await log.offsets(topics.readings, partition)).earliest;
  const gone = firstKept === 0 ? undefined : { topic: topics.readings, partition, firstKept };
  const served = await servedBy(forecast, models, options.signal);

  let window: SeriesWindow | undefined;
  let inputs: Float32Array | undefined;
  let again: Forecast | undefined;
  const buckets = new Map<number, { corrected: boolean }>();
  const readings = new Map<number, { offset: number; time: number; value: number }[]>();
  let activation: { offset: number; value: Activation } | undefined;
  const run = runPartition({
    log,
    topology: forecastingTopology(config, models, true),
    partition,
    until: inputOffset + 1,
    deadLetterTopic: topics.deadLetters,
    // The record that brought it into use may be gone; one that is left comes later and counts.
    ...(gone === undefined || served === undefined ? {} : { first: championFrom(config.model, served) }),
    accept: (record) => {
      const value = activationIn(record);
      if (value !== undefined && value.name === config.model && value.role === 'champion') {
        activation = { offset: record.offset, value };
      }
      return record.key === null || Buffer.from(record.key).toString() === device;
    },
    onSink: (sink, { key, value, offset: at }) => {
      if (key !== device) return;
      if (sink === TAPS.readings) {
        const { values, time } = value as Reading;
        const one = values[quantity];
        if (one === undefined) return;
        const start = Math.floor(time / interval) * interval;
        const held = readings.get(start) ?? [];
        if (!held.some((reading) => reading.time === time)) held.push({ offset: at, time, value: one });
        readings.set(start, held);
      } else if (sink === TAPS.buckets) {
        const bucket = value as Bucket;
        if (bucket.quantity === quantity) buckets.set(bucket.start, { corrected: bucket.kind === 'corrected' });
      } else if (sink === TAPS.candidates) {
        const candidates = value as ForecastCandidates;
        if (candidates.window.quantity === quantity && candidates.window.origin === forecast.origin) {
          window = candidates.window;
          inputs = candidates.candidates[0]!.inputs;
        }
      } else if (sink === 'forecasts') {
        const made = value as Forecast;
        if (made.quantity === quantity && made.origin === forecast.origin) again = made;
      }
    },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  for await (const _ of run);
  if (gone === undefined && (window === undefined || again === undefined)) {
    const what = `of ${device}/${quantity} at ${new Date(forecast.origin).toISOString()}`;
    const question = 'is the configuration (interval, lookback, quality …) the one that it was made with?';
    throw new FleetcastError('NOT_REPRODUCED', `the recorded input makes no forecast ${what}: ${question}`);
  }
  const identical = again !== undefined && Buffer.compare(encodeRecord(forecast), encodeRecord(again)) === 0;
  const valuesIdentical =
    again !== undefined &&
    again.model === forecast.model &&
    again.values.length === forecast.values.length &&
    again.values.every((value, h) => Object.is(value, forecast.values[h]));
  // Whole input tells the window, whatever has become of the forecast; cut input only by values that come out the same.
  const seen = gone === undefined || valuesIdentical ? window : undefined;
  const unknown = served === undefined && !isNaiveName(forecast.model);
  const scale =
    served === undefined ? seen : ((seen && scaleFor(served, device, seen)) ?? namedScale(served, forecast));
  const effects = served === undefined || seen === undefined ? undefined : occlusion(served, seen, scale!, inputs);
  const explained = (start: number) => ({
    start,
    measured: buckets.has(start),
    corrected: buckets.get(start)?.corrected ?? false,
    readings: (readings.get(start) ?? []).sort((a, b) => a.time - b.time),
  });
  const left = (): ExplainedBucket[] => {
    const first = forecast.origin - shape.lookback * interval;
    const starts = [...readings.keys()].filter((start) => start >= first && start < forecast.origin);
    return starts.sort((a, b) => a - b).map((start) => ({ ...explained(start), value: null, contribution: null }));
  };
  const whole = (values: SeriesWindow['values']): ExplainedBucket[] =>
    Array.from(values, (value, i) => ({
      ...explained(forecast.origin - (values.length - i) * interval),
      value,
      contribution: unknown ? null : (effects?.buckets[i] ?? naiveContribution(forecast, i, seen!, shape)),
    }));
  const all = seen === undefined ? left() : whole(seen.values);
  return {
    forecast,
    topic: topics.forecasts,
    partition,
    offset,
    identical: identical || (gone === undefined && again !== undefined ? false : null),
    differences: again === undefined || gone !== undefined ? [] : differences(forecast, again),
    valuesIdentical,
    model: explainModel(forecast, served, activation),
    scaler: {
      kind: served?.artefact.scaler.kind ?? 'rolling',
      mean: scale?.mean ?? null,
      deviation: scale?.deviation ?? null,
    },
    interval: {
      level: forecast.level,
      halfWidths: forecast.values.map((value, h) => forecast.upper[h]! - value),
    },
    // Of a naive forecast, equal values prove the buckets that it copies and no others.
    window:
      gone !== undefined && seen !== undefined && served === undefined
        ? all.filter(({ contribution }) => contribution !== 0)
        : all,
    inputs: effects?.inputs ?? [],
    whole: gone === undefined,
    ...(gone === undefined ? {} : { gone }),
  };
}

async function find({ log, config, which }: ExplainOptions) {
  const topic = config.topics.forecasts;
  const { partitions = 0 } = (await log.topic(topic)) ?? {};
  if ('offset' in which) {
    if (which.partition >= partitions) throw missing(`at ${which.partition}/…: ${topic} has ${partitions} partitions`);
    const { records } = await log.read(topic, which.partition, which.offset, { maxRecords: 1 });
    const [record] = records;
    if (record?.offset !== which.offset) throw missing(`at ${topic}/${which.partition} offset ${which.offset}`);
    return { partition: which.partition, offset: which.offset, forecast: decodeRecord(record.value!) as Forecast };
  }
  const { device, quantity, origin = Infinity } = which;
  const partition = partitionFor(device, (await log.topic(topic))?.partitions ?? 1);
  const { earliest, end } = await log.offsets(topic, partition);
  let found: { partition: number; offset: number; forecast: Forecast } | undefined;
  for await (const { records } of scan(log, topic, partition, { from: earliest, to: end })) {
    for (const { key, value, offset } of records) {
      if (key === null || Buffer.from(key).toString() !== device) continue;
      const forecast = decodeRecord(value!) as Forecast;
      if (forecast.quantity === quantity && forecast.origin <= origin) found = { partition, offset, forecast };
    }
  }
  if (found === undefined) throw missing(`of ${device}/${quantity}`);
  return found;
}

function missing(what: string): FleetcastError {
  return new FleetcastError('USAGE', `there is no forecast ${what}`);
}

function activationIn({ value }: LogRecord): Activation | undefined {
  return value !== null && schemaOf(value) === 'Activation' ? decode<Activation>('Activation', value) : undefined;
}

/** The model that made the forecast; undefined for a naive one, and for one whose artefact is gone. */
async function servedBy(
  { model }: Forecast,
  models: ModelSource,
  signal?: AbortSignal,
): Promise<ServedModel | undefined> {
  if (isNaiveName(model)) return undefined;
  try {
    return await models.load(idIn(model), signal);
  } catch (error) {
    if (isFleetcastError(error, 'MODEL_UNKNOWN')) return undefined;
    throw error;
  }
}

/** The scale of a series that the artefact itself holds. */
function namedScale({ artefact }: ServedModel, { device, quantity }: Forecast): Scale | undefined {
  const { kind, series } = artefact.scaler;
  return kind === 'fixed' ? (series.get(seriesKey(device, quantity)) ?? series.get(ANY_SERIES)) : undefined;
}

function explainModel(
  forecast: Forecast,
  served: ServedModel | undefined,
  activation: { offset: number; value: Activation } | undefined,
): ExplainedModel {
  const common = { name: forecast.model };
  const nothing = { reason: '', trainedOn: [], trainEnd: Number.NaN, metrics: {} };
  if (isNaiveName(forecast.model)) return { ...common, ...nothing, family: 'naive', since: -1 };
  const known = activation?.value.modelId === idIn(forecast.model) ? activation : undefined;
  const since = { since: known?.offset ?? null };
  if (served === undefined) return { ...common, ...nothing, ...since, family: 'unknown' };
  const { family, training, metrics } = served.artefact;
  const reason = known?.value.reason ?? '';
  return { ...common, ...since, reason, family, trainedOn: training.ranges, trainEnd: training.trainEnd, metrics };
}

/**
 * By bucket: mean over the horizon of the forecast less the forecast with this bucket at the window's mean, in units; and
 * by input less the forecast without it.
 */
function occlusion(
  { model }: ServedModel,
  { values: seen }: SeriesWindow,
  { mean, deviation }: { mean: number; deviation: number },
  row: Float32Array | undefined,
): { readonly buckets: Float64Array; readonly inputs: ExplainedInput[] } {
  const { lookback, horizon } = model.shape;
  const layout = row === undefined ? undefined : model.inputs;
  const names = layout === undefined ? [] : inputNames(layout);
  // A row for each bucket, the forecast as it was, a row for each input.
  const count = lookback + 1 + names.length;
  const values = new Float32Array(count * lookback);
  let middle = 0;
  for (let i = 0; i < lookback; i++) middle += standardise(seen[i]!, mean, deviation) / lookback;
  for (let r = 0; r < count; r++) {
    for (let i = 0; i < lookback; i++) {
      values[r * lookback + i] = i === r ? middle : standardise(seen[i]!, mean, deviation);
    }
  }
  const outputs = new Float32Array(count * horizon);
  if (layout === undefined) {
    model.forecast({ count, values }, outputs);
  } else {
    const inputs = new Float32Array(count * layout.size);
    for (let r = 0; r < count; r++) inputs.set(row!, r * layout.size);
    names.forEach((_, i) => {
      maskInput(layout, i, inputs, (lookback + 1 + i) * layout.size);
    });
    model.forecast({ count, values, inputs }, outputs);
  }
  const effect = (r: number): number => {
    let change = 0;
    for (let h = 0; h < horizon; h++) change += outputs[lookback * horizon + h]! - outputs[r * horizon + h]!;
    return (change / horizon) * scaleOf(deviation);
  };
  return {
    buckets: Float64Array.from({ length: lookback }, (_, r) => effect(r)),
    inputs: names.map((name, i) => ({
      name,
      present: isPresent(layout!, i, row!),
      contribution: effect(lookback + 1 + i),
    })),
  };
}

/**
 * A naive forecast is made of the last value, of the last season, or of both in shares by step, and of nothing else: the
 * mean over the horizon of what each step takes from this bucket.
 */
function naiveContribution(
  { model, values: forecast }: Forecast,
  i: number,
  { values }: SeriesWindow,
  { horizon, season }: { horizon: number; season: number },
): number {
  const end = values.length - 1;
  const lastAlone = model === LAST_VALUE || values.length < season;
  let shares = 0;
  for (let h = 0; h < horizon; h++) {
    const from = values.length - season + (h % season);
    const [last, seasonal] = [values[end]!, values[from]!];
    // Where both are the same, the shares cannot be told apart and need not be.
    const mixed = last === seasonal ? 1 : (forecast[h]! - seasonal) / (last - seasonal);
    const share = lastAlone ? 1 : model === SEASONAL_NAIVE ? 0 : mixed;
    if (i === end) shares += share;
    if (share !== 1 && i === from) shares += 1 - share;
  }
  return values[i]! * (shares / horizon);
}

function differences(one: Forecast, other: Forecast): string[] {
  return (Object.keys(one) as (keyof Forecast)[]).filter(
    (field) => JSON.stringify(one[field]) !== JSON.stringify(other[field]),
  );
}
