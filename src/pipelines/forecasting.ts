import { decodeRecord, encodeRecord } from '../events/codec.ts';
import {
  type Activation,
  type DeadLetter,
  type FleetRecord,
  flushKey,
  type HistoryFlush,
  historyKey,
  type Reading,
  type Score,
  seriesKey,
} from '../events/records.ts';
import type { LogRecord } from '../log/event-log.ts';
import { Alerting } from '../operators/alert.ts';
import { Bucketing } from '../operators/bucket.ts';
import { Forecasting } from '../operators/forecast.ts';
import { guardDefaults } from '../operators/guard.ts';
import { History } from '../operators/history.ts';
import { QUANTILE_DEFAULTS } from '../operators/interval.ts';
import { type IntervalMethod, ROLLING_DEFAULTS, rollingMethod, trackingMethod } from '../operators/interval-method.ts';
import { mixDefaults } from '../operators/naive-mix.ts';
import { type EventCode, NextEventForecast } from '../operators/next-event.ts';
import { Normalise } from '../operators/normalise.ts';
import type { StreamRecord } from '../operators/operator.ts';
import { Quality } from '../operators/quality.ts';
import { Scoring } from '../operators/score.ts';
import { TopologyBuilder } from '../topology/builder.ts';
import type { Stream } from '../topology/stream.ts';
import type { EncodedRecord, SourceItem, Topology } from '../topology/topology.ts';
import { activationPreparer, awaitedModel, type ModelSource } from './activation.ts';
import type { EventsConfig, PipelineConfig } from './pipeline-config.ts';

/** Sinks that show what flows between the operators, for `explain`; what they write leads nowhere. */
export const TAPS = { readings: 'tap-readings', buckets: 'tap-buckets', candidates: 'tap-candidates' } as const;

/**
 * The topology from readings to forecasts. Inert: `models` is asked when it runs.
 * @param taps adds the sinks of {@link TAPS}
 */
export function forecastingTopology(config: PipelineConfig, models: ModelSource, taps = false): Topology {
  const { topics, interval, shape, correctFor, steps } = config;
  const origin = topics.readings;
  const builder = new TopologyBuilder('forecasting');
  const readings = builder.source<Reading>('readings', {
    topic: topics.readings,
    codec: { decode: decodeReading },
    prepare: activationPreparer(config.events ? [config.model, config.events.model] : [config.model], models),
    awaits: awaitedModel,
  });

  const good = readings.process('quality', () => new Quality({ ...config.quality, origin }));
  const { measured, codes } = config.events ? withoutEvents(good, config.events) : { measured: good, codes: undefined };
  const buckets = measured.process(
    'bucket',
    () =>
      new Bucketing({
        origin,
        lettersPerHour: config.quality.lettersPerHour,
        interval,
        grace: config.grace,
        idle: config.idle,
        aggregate: config.aggregate,
        aggregates: config.aggregates,
        late: config.late,
        correctFor,
        maxReadings: config.maxReadings,
      }),
  );
  good
    .output<DeadLetter>('rejected')
    .merge(buckets.output<DeadLetter>('late'))
    .sink('dead-letters', { topic: topics.deadLetters, encode: (record) => encoded(record.value.origin, record) });

  if (config.events !== undefined && codes !== undefined) {
    const { model: name, ...window } = config.events;
    codes
      .process('next-event', () => new NextEventForecast({ name, ...window }, (id) => models.load(id)))
      .sink('next-events', { topic: topics.nextEvents, encode: (record) => encoded(record.key, record) });
  }

  buckets
    .process(
      'history',
      () => new History({ interval, segment: config.segment, correctFor, flushEvery: config.flushEvery }),
    )
    .sink('history-log', {
      topic: topics.history,
      encode: ({ value }) => {
        const key =
          value.type === 'HistoryFlush' ? flushKey(value.id) : historyKey(value.device, value.quantity, value.start);
        return { key, value: encodeRecord(value) };
      },
    });

  const window = { interval, lookback: shape.lookback, scaleLength: config.scaleLength };
  const candidates = buckets
    .process('normalise', () => new Normalise(window, reachOf(shape)))
    .process(
      'forecast',
      () =>
        new Forecasting(
          { name: config.model, shape, interval, steps, minMeasured: config.minMeasured, statics: config.statics },
          (id) => models.load(id),
        ),
    );
  const forecasts = candidates.process(
    'score',
    () =>
      new Scoring({
        horizon: shape.horizon,
        season: shape.season,
        steps,
        level: config.level,
        intervals: intervalMethod(config),
        levels: config.levels,
        guard: guardDefaults(shape.horizon, shape.season),
        mix: mixDefaults(shape.horizon, shape.season),
      }),
  );
  forecasts.sink('forecasts', { topic: topics.forecasts, encode: (record) => encoded(record.key, record) });
  const scores = forecasts.output<Score>('scores');
  scores.sink('scores', {
    topic: topics.scores,
    encode: (record) => encoded(seriesKey(record.key, record.value.quantity), record),
  });
  scores
    .process('alert', () => new Alerting(config.alert))
    .sink('alerts', { topic: topics.alerts, encode: (record) => encoded(record.key, record) });
  if (taps) {
    const encode = () => ({ key: null, value: null });
    good.sink(TAPS.readings, { topic: TAPS.readings, encode });
    buckets.sink(TAPS.buckets, { topic: TAPS.buckets, encode });
    candidates.sink(TAPS.candidates, { topic: TAPS.candidates, encode });
  }
  return builder.build();
}

/** Events are no measured values: they go a way of their own. */
function withoutEvents(good: Stream<Reading>, { quantity }: EventsConfig) {
  const codes = good.flatMap('event-codes', ({ values }): EventCode[] => {
    const code = values[quantity];
    return code === undefined ? [] : [{ code }];
  });
  const measured = good.flatMap('measured', (reading): Reading[] => {
    if (reading.values[quantity] === undefined) return [reading];
    const { [quantity]: _, ...values } = reading.values;
    return Object.keys(values).length === 0 ? [] : [{ ...reading, values }];
  });
  return { codes, measured };
}

/** Readings, ticks and activations share a topic: that is what gives models and time an offset. */
export function decodeReading(record: LogRecord): SourceItem<Reading> {
  if (record.value === null) return { kind: 'skip', reason: 'tombstone' };
  const value = decodeRecord(record.value);
  switch (value.type) {
    case 'Reading':
      return record.key === null
        ? { kind: 'record', value, time: value.time, key: value.device }
        : { kind: 'record', value, time: value.time };
    case 'Tick':
      return { kind: 'tick', time: value.time };
    case 'Activation':
    case 'HistoryFlush':
      return { kind: 'broadcast', value: value satisfies Activation | HistoryFlush };
    default:
      return { kind: 'skip', reason: 'unexpected-type' };
  }
}

/** How far back the naive forecasts of a bucket reach. */
function reachOf({ horizon, season }: PipelineConfig['shape']): number {
  return season * Math.ceil(horizon / season) + 1;
}

function intervalMethod({ intervals, level, shape }: PipelineConfig): IntervalMethod {
  return intervals === 'rolling'
    ? rollingMethod({ ...ROLLING_DEFAULTS, level })
    : trackingMethod({ ...QUANTILE_DEFAULTS, level, season: shape.season });
}

function encoded(key: string, record: StreamRecord<FleetRecord>): EncodedRecord {
  return { key, value: encodeRecord(record.value) };
}
