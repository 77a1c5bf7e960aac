import { FleetcastError } from '../errors.ts';
import type { WindowShape } from '../models/model.ts';
import type { Aggregate } from '../operators/aggregate.ts';
import { ALERT_DEFAULTS, type AlertConfig } from '../operators/alert.ts';
import type { BucketConfig } from '../operators/bucket.ts';
import type { Statics } from '../operators/input-rows.ts';
import { scoredSteps } from '../operators/interval.ts';
import type { IntervalMethodName } from '../operators/interval-method.ts';
import { QUALITY_DEFAULTS, type QualityConfig } from '../operators/quality.ts';
import { type TopicNames, topicNames } from './topics.ts';

/** Everything that the forecasting pipeline is made from. Times in milliseconds. */
export interface PipelineConfig {
  readonly topics: TopicNames;
  readonly quality: Omit<QualityConfig, 'origin'>;
  readonly interval: number;
  readonly grace: number;
  readonly idle: number;
  readonly aggregate: Aggregate;
  readonly aggregates: Readonly<Record<string, Aggregate>>;
  readonly late: BucketConfig['late'];
  readonly correctFor: number;
  readonly maxReadings: number;
  /** Buckets of a history segment. */
  readonly segment: number;
  readonly flushEvery: number;
  readonly shape: WindowShape;
  readonly scaleLength: number;
  readonly minMeasured: number;
  /** Nominal coverage of the interval that is scored. */
  readonly level: number;
  /** Nominal coverage of further intervals of each forecast. */
  readonly levels: readonly number[];
  /** How intervals follow the stream: a few hundred bytes a series, or the residuals themselves. */
  readonly intervals: IntervalMethodName;
  /** Horizon steps that are scored. */
  readonly steps: readonly number[];
  readonly alert: AlertConfig;
  /** The model line that is followed. */
  readonly model: string;
  /** Numbers that devices have once and for all, by device and name: models may have them as inputs. */
  readonly statics: Statics;
  /** Readings of this quantity are codes of events: the next one is forecast, and no values are. */
  readonly events?: EventsConfig | undefined;
}

export interface EventsConfig {
  readonly quantity: string;
  /** Events that a forecast looks back on. */
  readonly steps: number;
  /** Codes: 0 … codes − 1. */
  readonly codes: number;
  /** The model line that is followed. */
  readonly model: string;
}

/**
 * Fills in what is left out: hourly buckets, four days back, one day ahead.
 * @throws CONFIG_INVALID for values that cannot go together
 */
export function pipelineConfig(change: Partial<PipelineConfig> = {}): PipelineConfig {
  const interval = change.interval ?? 3_600_000;
  const shape = change.shape ?? { lookback: 96, horizon: 24, season: 24 };
  const config: PipelineConfig = {
    topics: topicNames(),
    quality: QUALITY_DEFAULTS,
    interval,
    grace: Math.min(5 * 60_000, interval),
    idle: Math.max(2 * interval, 60_000),
    aggregate: 'mean',
    aggregates: {},
    late: 'correct',
    correctFor: 24 * interval,
    maxReadings: 10_000,
    segment: Math.max(shape.season, 24),
    flushEvery: 60_000,
    shape,
    scaleLength: Math.max(shape.lookback, 7 * shape.season),
    minMeasured: 0.5,
    level: 0.9,
    levels: [],
    intervals: 'tracking',
    steps: scoredSteps(shape.horizon),
    alert: ALERT_DEFAULTS,
    model: 'default',
    statics: {},
    ...change,
  };
  const refuse = (field: string, found: unknown, allowed: string): never => {
    throw new FleetcastError('CONFIG_INVALID', `pipeline.${field} is ${found}, allowed is ${allowed}`, {
      details: { field: `pipeline.${field}` },
    });
  };
  const whole = (field: string, value: number, least: number): void => {
    if (!Number.isSafeInteger(value) || value < least) refuse(field, value, `a whole number from ${least}`);
  };
  whole('interval', config.interval, 1);
  whole('shape.lookback', shape.lookback, 2);
  whole('shape.horizon', shape.horizon, 1);
  whole('shape.season', shape.season, 1);
  whole('segment', config.segment, 1);
  whole('scaleLength', config.scaleLength, 2);
  whole('maxReadings', config.maxReadings, 1);
  whole('flushEvery', config.flushEvery, 1);
  whole('grace', config.grace, 0);
  whole('idle', config.idle, 1);
  whole('correctFor', config.correctFor, 0);
  for (const level of [config.level, ...config.levels]) {
    if (!(level > 0 && level < 1)) refuse(level === config.level ? 'level' : 'levels', level, 'between 0 and 1');
  }
  if (config.events !== undefined) {
    whole('events.steps', config.events.steps, 1);
    whole('events.codes', config.events.codes, 2);
    if (config.events.model === config.model)
      refuse('events.model', config.model, 'another model line than that of the forecasts');
  }
  if (config.steps.at(-1) !== shape.horizon) refuse('steps', config.steps.join(), `ending with ${shape.horizon}`);
  return config;
}
