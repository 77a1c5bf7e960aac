import { z } from 'zod';
import { CALENDAR } from '../../models/inputs/calendar.ts';
import { INPUT_LIMITS } from '../../models/inputs/spec.ts';
import { INTERVAL_METHODS } from '../../operators/interval-method.ts';
import { MOST_BUCKETS } from '../../retraining/history-bound.ts';
import { DRIFT_DEFAULTS } from '../../retraining/page-hinkley.ts';
import { mappingSection } from './mapping-section.ts';
import { outSection } from './out-section.ts';
import { secret } from './secret.ts';
import { duration, size } from './units.ts';

/**
 * The configuration file. Every field has a description, and a default or an example: `example.ts` writes them out for
 * `fleetcast init`. Objects are strict: an unknown field is an error.
 */

const whole = (min: number, max: number) => z.int().min(min).max(max);
/** An optional field, with the text that the example shows for it, commented out. */
const optional = <T extends z.ZodType>(schema: T, description: string, example: string) =>
  schema.optional().meta({ description, example });
const section = <T extends z.ZodRawShape>(shape: T, description: string) =>
  z
    .strictObject(shape)
    .prefault({} as never)
    .meta({ description });

/** What was found is not shown: it may hold a password. */
const brokerAddress = z.string().superRefine((value, context) => {
  const say = (message: string) => context.addIssue({ code: 'custom', message, params: { hidden: true } });
  if (!/^(mqtts?|wss?|tcp|ssl):\/\/[^\s/]/.test(value) || !URL.canParse(value)) {
    return say('an address such as mqtt://host:1883 or mqtts://host:8883');
  }
  const { username, password } = new URL(value);
  if (username !== '' || password !== '') {
    say('an address without user and password, which logs would show: they have fields of their own');
  }
});

const embeddedBroker = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').meta({ description: 'Anything but loopback demands users.' }),
  port: whole(0, 65_535).default(1883).meta({ description: '0 takes a free one.' }),
  users: optional(
    z.array(
      z.strictObject({
        name: z.string().min(1),
        password: secret,
        publish: z.array(z.string().min(1)).optional(),
        subscribe: z.array(z.string().min(1)).optional(),
      }),
    ),
    'Who may connect, and to which topic filters each may publish and subscribe (%u is the user, %c the client id).',
    '[{name: pump1, password: {env: PUMP1_PASSWORD}, publish: ["fleet/%u"]}]',
  ),
  allowAnonymous: z.boolean().optional().meta({
    description: 'Lets everybody in, also from other machines; beside users, with the rights that all of them have.',
  }),
  tls: optional(
    z.strictObject({
      certFile: z.string().min(1),
      keyFile: z.string().min(1),
      clientCaFile: z.string().min(1).optional(),
    }),
    'TLS instead of plain connections; with clientCaFile, devices must bring a certificate of that authority.',
    '{certFile: server.pem, keyFile: server.key}',
  ),
});

const broker = section(
  {
    url: optional(
      brokerAddress,
      'An existing broker. Without it, an embedded broker is started.',
      'mqtt://localhost:1883',
    ),
    embedded: optional(embeddedBroker, 'Where the embedded broker listens.', '{host: 127.0.0.1, port: 1883}'),
    clientId: z
      .string()
      .min(1)
      .max(128)
      .default('fleetcast')
      .meta({ description: 'Fixed, so that the broker keeps the session while the service is down.' }),
    sharedGroup: optional(
      z.string().regex(/^[^/+#\s]{1,128}$/, 'a name without slashes, wildcards and spaces'),
      'Shares the subscriptions with other services of this group; each needs a clientId of its own. A device keeps its order within a service only: give services disjoint topics where order matters.',
      'bridges',
    ),
    receiveMaximum: z.number().int().min(1).max(16_384).default(8_192).meta({
      description:
        'Messages that the broker sends ahead of their acknowledgement (MQTT 5). With several services on one log: 65536 in all.',
    }),
    username: optional(z.string().min(1), 'User at the broker.', 'fleetcast'),
    password: optional(secret, 'Reference to the password.', '{env: MQTT_PASSWORD}'),
    caFile: optional(z.string().min(1), 'Certificate authority to trust, PEM.', 'ca.pem'),
    certFile: optional(z.string().min(1), 'Client certificate, PEM.', 'client.pem'),
    keyFile: optional(z.string().min(1), 'Key of the client certificate, PEM.', 'client.key'),
  },
  'The MQTT broker that devices publish to.',
);

const registryUrl = z
  .url({ protocol: /^https?$/, error: 'an address such as http://registry:8081' })
  .refine(
    (value) => !/^[^/]*\/\/[^/?#]*@/.test(value),
    'an address without user and password: they have fields of their own',
  );

const kafka = z.strictObject({
  brokers: z.array(z.string().regex(/^[^\s:]+:\d+$|^\[[^\]]+\]:\d+$/, 'host:port')).min(1),
  clientId: z.string().min(1).default('fleetcast'),
  replicas: whole(1, 15).optional(),
  topicConfig: z.record(z.string().regex(/^[a-z.]+$/), z.union([z.string(), z.number(), z.boolean()])).optional(),
  tls: z
    .union([
      z.boolean(),
      z.strictObject({
        caFile: z.string().min(1).optional(),
        certFile: z.string().min(1).optional(),
        keyFile: z.string().min(1).optional(),
      }),
    ])
    .optional(),
  sasl: z
    .strictObject({
      mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
      username: z.string().min(1),
      password: secret,
    })
    .optional(),
  registry: z
    .strictObject({
      url: z.union([registryUrl, z.array(registryUrl).min(1)]),
      user: z.string().min(1).optional(),
      password: secret.optional(),
      token: secret.optional(),
      caFile: z.string().min(1).optional(),
      subjects: z.enum(['topic', 'record', 'topic-record']).default('topic'),
      register: z.boolean().default(true),
    })
    .optional(),
  json: z.array(z.enum(['forecasts', 'scores', 'alerts', 'history', 'dead-letters', 'model-events'])).default([]),
  compression: z.enum(['none', 'gzip', 'snappy', 'lz4', 'zstd']).default('none'),
});

const log = section(
  {
    embedded: optional(
      z.strictObject({
        path: z.string().min(1).default('.fleetcast/data'),
        maxSize: size({ min: '16MiB' }).prefault('64GiB'),
      }),
      'On this machine, durable. Paths are relative to this file.',
      '{path: .fleetcast/data, maxSize: 64GiB}',
    ),
    kafka: optional(
      kafka,
      'Apache Kafka.',
      '{brokers: ["localhost:9092"], replicas: 3, topicConfig: {min.insync.replicas: 2}, sasl: {mechanism: scram-sha-512, username: fleetcast, password: {env: KAFKA_PASSWORD}}}',
    ),
  },
  'Where records are kept: one of `embedded` (the default) and `kafka`.',
);

const topicName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,150}$/, 'up to 150 letters, digits, dots, dashes and underscores')
  .optional();

const topicNames = z
  .strictObject({
    readings: topicName,
    deadLetters: topicName,
    history: topicName,
    forecasts: topicName,
    scores: topicName,
    alerts: topicName,
    state: topicName,
    models: topicName,
    modelEvents: topicName,
    memory: topicName,
    schemas: topicName,
  })
  .refine((names) => new Set(Object.values(names)).size === Object.values(names).length, 'two topics have one name');

const topics = section(
  {
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9._-]{0,100}$/, 'up to 100 letters, digits, dots, dashes and underscores')
      .default('')
      .meta({ description: 'Put before every topic name, for example `site1.`.' }),
    names: optional(
      topicNames,
      'Other names of topics, where the usual ones (`readings`, `forecasts`, …) do not fit; the prefix stands before them too.',
      '{readings: plant.telemetry.v1, forecasts: plant.forecasts.v1}',
    ),
    partitions: whole(1, 1024).default(4).meta({ description: 'Of the topics by device; fixed once they exist.' }),
    readingsRetention: duration({ min: '1h' })
      .prefault('7d')
      .meta({ description: 'Replays and recovery need the readings of this time.' }),
    outputRetention: duration({ min: '1h' })
      .prefault('30d')
      .meta({ description: 'Forecasts, scores, alerts and dead letters.' }),
    deadLetterSize: optional(
      size({ min: '1MiB' }),
      'Dead letters in all; beyond it the oldest go. Default: a sixteenth of log.embedded.maxSize; no limit on Kafka.',
      '1GiB',
    ),
    deadLettersPerHour: size({ min: '4KiB' }).prefault('4MiB').meta({
      description:
        'Dead letters of one MQTT topic in an hour: beyond half of it only the beginning of a payload is kept, beyond all of it bad messages are counted only.',
    }),
  },
  'Topics on the log. Existing topics that disagree are refused and left as they are.',
);

const pipeline = section(
  {
    interval: duration({ min: '1s', max: '4w' }).prefault('1h').meta({ description: 'Length of a bucket.' }),
    aggregate: z
      .enum(['mean', 'min', 'max', 'sum', 'last', 'median', 'count'])
      .default('mean')
      .meta({ description: 'What a bucket keeps of its readings: mean, min, max, sum, last, median or count.' }),
    grace: duration({ max: '4w' })
      .prefault('5m')
      .meta({ description: 'A bucket stays open so long (in event time) for readings that come out of order.' }),
    idle: duration({ min: '1s' })
      .prefault('2h')
      .meta({ description: 'The buckets of a device that is quiet for so long (wall clock) are closed.' }),
    late: z
      .enum(['correct', 'drop', 'dead-letter'])
      .default('correct')
      .meta({ description: 'Readings after their bucket has closed: correct, drop or dead-letter.' }),
    lookback: whole(2, 4096).default(96).meta({ description: 'Buckets that a forecast looks back on.' }),
    horizon: whole(1, 1024).default(24).meta({ description: 'Buckets that are forecast.' }),
    season: whole(1, 2048).default(24).meta({ description: 'Buckets in a season: 24 for a daily cycle of hours.' }),
    level: z.number().min(0.5).max(0.999).default(0.9).meta({ description: 'Nominal coverage of the intervals.' }),
    levels: z
      .array(z.number().min(0.1).max(0.999))
      .max(8)
      .default([])
      .meta({ description: 'Further levels: each forecast has an interval for each of them.' }),
    intervals: z.enum(INTERVAL_METHODS).default('tracking').meta({
      description: 'tracking (a few hundred bytes a series) or rolling (the newest residuals, for small fleets).',
    }),
    future: duration()
      .prefault('5m')
      .meta({ description: 'Readings that claim to be further ahead of their arrival than this are refused.' }),
    oldest: z
      .string()
      .regex(/^\d{4}-\d{2}-\d{2}$/, 'a date such as 2000-01-01')
      .default('2000-01-01')
      .meta({ description: 'Readings that claim to be older than this date are refused.' }),
    standby: z
      .boolean()
      .default(false)
      .meta({ description: 'Keep copies of the state of the partitions that other processes of this pipeline run.' }),
    threads: whole(1, 64).default(1).meta({
      description:
        'Worker threads that share the partitions; 1 runs them beside everything else. No more than partitions.',
    }),
    quantitiesPerDevice: whole(1, 10_000).default(64).meta({ description: 'Further quantities are refused.' }),
    ranges: z
      .record(z.string(), z.tuple([z.number(), z.number()]))
      .default({})
      .meta({ description: 'Lowest and highest value by quantity, for example {temperature: [-60, 60]}.' }),
  },
  'From readings to forecasts.',
);

const drift = z.strictObject({
  after: whole(0, 10_000_000).optional(),
  tolerance: z.number().min(0).max(10).default(DRIFT_DEFAULTS.tolerance),
  threshold: z.number().positive().max(10_000).default(DRIFT_DEFAULTS.threshold),
  warmUp: whole(2, 1_000_000).default(DRIFT_DEFAULTS.warmUp),
});

const trial = z
  .strictObject({
    least: whole(2, 10_000_000).optional(),
    most: whole(2, 10_000_000).optional(),
    looks: whole(1, 100).optional(),
    margin: z.number().min(0).max(1).optional(),
    significance: z.number().positive().max(0.5).optional(),
  })
  .refine(({ least, most }) => least === undefined || most === undefined || least <= most, '`least` up to `most`');

const layers = z.array(z.record(z.string(), z.unknown())).min(1).max(200);

const learner = section(
  {
    enabled: z.boolean().default(true).meta({ description: 'Train models in this process.' }),
    name: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'letters, digits, dots, dashes and underscores')
      .default('default')
      .meta({ description: 'Name of the model line.' }),
    firstAfter: whole(1, 10_000_000)
      .default(480)
      .meta({ description: 'Buckets of the longest series before the first training.' }),
    every: whole(0, 10_000_000)
      .default(720)
      .meta({ description: 'Buckets of event time between trainings, by the newest of any series; 0 trains once.' }),
    newBuckets: whole(0, 1_000_000_000)
      .default(0)
      .meta({ description: 'Also so many new buckets of all series together ask for a training; 0 never.' }),
    newSeries: z
      .number()
      .min(0)
      .max(1)
      .default(0.25)
      .meta({ description: 'Also this share of series that no model has been trained on; 0 never.' }),
    pause: whole(0, 10_000_000)
      .default(24)
      .meta({ description: 'Least buckets between any two trainings, whatever asks for them.' }),
    budget: duration()
      .prefault('6h')
      .meta({ description: 'Most processor time of trainings within a day; 0s is no limit.' }),
    deadline: duration({ min: '1s' })
      .prefault('6h')
      .meta({ description: 'A training that was asked for so long ago and has not ended is given up.' }),
    drift: optional(
      drift,
      'When a rise of the error is a drift: buckets before a training on what came since (0 never), and the Page-Hinkley test in deviations of the error. Default of after: three lookbacks.',
      '{after: 288, tolerance: 0.5, threshold: 30, warmUp: 48}',
    ),
    trial: optional(
      trial,
      'How a new model is tried beside the old: buckets before the first look and at the last, looks between, by what share it must be better, and with what probability of error.',
      '{least: 48, most: 336, looks: 5, margin: 0, significance: 0.01}',
    ),
    trainer: z
      .enum(['kernel', 'tensorflow', 'ridge'])
      .default('kernel')
      .meta({ description: 'kernel (the same weights on every machine), tensorflow, or ridge (no LSTM).' }),
    family: z
      .enum(['segment-lstm', 'lstm', 'sequential'])
      .default('segment-lstm')
      .meta({ description: 'segment-lstm, lstm (one step a bucket), or sequential (the layers below).' }),
    width: optional(
      whole(4, 256),
      'Width of the LSTM. Default: 32; 128 for the segment LSTM and horizons of four seasons or more.',
      '64',
    ),
    recurrentLayers: whole(1, 16).default(1).meta({ description: 'Layers of the family lstm, one upon the other.' }),
    decoding: z
      .enum(['direct', 'autoregressive'])
      .default('direct')
      .meta({ description: 'How the family lstm gives its horizon: direct (at once) or autoregressive (fed back).' }),
    layers: optional(
      layers,
      "Keras's layers, words and defaults, for the family sequential; trained with TensorFlow.js.",
      '[{type: GRU, units: 32, dropout: 0.1}, {type: LayerNormalization}, {type: Dense, units: 24}]',
    ),
    maxSteps: whole(10, 10_000_000).default(2000).meta({ description: 'Bounds the time of a training.' }),
    mostBuckets: whole(1000, 1_000_000_000).default(MOST_BUCKETS).meta({
      description:
        'Most buckets that a training holds in memory, the newest; where too few of each series are left, those of some devices.',
    }),
    seed: whole(0, 2 ** 31 - 1)
      .default(1)
      .meta({ description: 'Same seed and history, same model.' }),
    inputs: section(
      {
        calendar: z
          .array(z.enum(CALENDAR))
          .max(CALENDAR.length)
          .default([])
          .meta({ description: 'Tell the model the time, in UTC: any of hour and weekday.' }),
        quantities: z.array(z.string().min(1).max(256)).max(INPUT_LIMITS.quantities).default([]).meta({
          description:
            'Quantities of the device that it sees beside the one it forecasts; what a device lacks is masked.',
        }),
        targets: z
          .array(z.string().min(1).max(256))
          .max(INPUT_LIMITS.quantities)
          .default([])
          .meta({ description: 'Quantities that it forecasts, others keep their naive forecast; empty for all.' }),
        statics: z
          .record(z.string(), z.record(z.string(), z.number()))
          .default({})
          .meta({ description: 'Numbers by device that never change, for example {pump1: {power: 1.5}}.' }),
      },
      'What the segment LSTM sees beside the series that it forecasts. A model keeps those that it was trained with.',
    ),
  },
  'How models learn from the history.',
);

const events = optional(
  z.strictObject({
    quantity: z.string().min(1),
    codes: whole(2, 100_000),
    steps: whole(1, 1000).default(12),
    name: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'letters, digits, dots, dashes and underscores')
      .default('next-event'),
    layers: layers.optional(),
  }),
  'Values of this quantity are codes (0 … codes − 1) of what has happened: from the last steps of them the next one of each device is forecast, on the topic next-events. Train with fleetcast train-events.',
  '{quantity: event, codes: 10, steps: 12, name: next-event, layers: [{type: Embedding, input_dim: 1000, output_dim: 64}, {type: LSTM, units: 128}, {type: Dense, units: 10}]}',
);

const http = section(
  {
    enabled: z.boolean().default(true).meta({ description: 'Serve the page, health and metrics.' }),
    host: z.string().min(1).default('127.0.0.1').meta({ description: 'Anything but loopback demands a token.' }),
    port: whole(0, 65_535).default(8080).meta({ description: '0 takes a free one.' }),
    token: optional(secret, 'Reference to the token that callers must bring.', '{env: FLEETCAST_TOKEN}'),
  },
  'The page and the interfaces over HTTP.',
);

const logging = section(
  {
    level: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .meta({ description: 'trace, debug, info, warn, error or silent.' }),
    file: optional(z.string().min(1), 'A file instead of standard error.', 'fleetcast.log'),
  },
  'Log lines in JSON.',
);

export const configurationSchema = z.strictObject({
  broker: broker.superRefine((value, context) => {
    if (value.url === undefined || value.embedded === undefined) return;
    context.addIssue({ code: 'custom', path: ['embedded'], message: 'either `url` or `embedded`, not both' });
  }),
  mapping: mappingSection,
  log: log.superRefine((value, context) => {
    if (value.kafka === undefined || value.embedded === undefined) return;
    context.addIssue({ code: 'custom', path: ['kafka'], message: 'either `embedded` or `kafka`, not both' });
  }),
  topics,
  pipeline: pipeline.superRefine((value, context) => {
    if (value.lookback >= value.season || value.season === 1) return;
    context.addIssue({ code: 'custom', path: ['lookback'], message: `at least one season (${value.season})` });
  }),
  learner,
  events,
  out: outSection,
  http,
  logging,
});

/** The parsed configuration: durations in milliseconds, sizes in bytes, secrets still references. */
export type Configuration = z.output<typeof configurationSchema>;
