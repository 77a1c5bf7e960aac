import { z } from 'zod';
import type {
  InnerConfig,
  MappingConfig,
  MappingLimits,
  PartConfig,
  PresetConfig,
  RuleConfig,
  TimeConfig,
  UnitConfig,
  ValueConfig,
} from '../../bridges/mapping/config.ts';
import { REJECT_REASONS } from '../../bridges/mapping/reject.ts';
import type { SparkplugOptions } from '../../bridges/sparkplug/options.ts';

/**
 * The shape of the mapping, as far as fields and their kinds go; the mapping room checks filters, paths and formats when
 * it compiles the rules. The `satisfies` clauses keep the two in step.
 */
const text = z.string().min(1);
const flag = z.boolean();
const names = z.array(text);
type Fields<T> = { readonly [K in keyof Required<T>]: z.ZodType };

const time = z.strictObject({
  path: text,
  format: text.optional(),
  zone: text.optional(),
  optional: flag.optional(),
  lenient: flag.optional(),
} satisfies Fields<TimeConfig>);

const value = z.strictObject({
  path: text,
  optional: flag.optional(),
  states: z.record(text, z.number()).optional(),
  numericText: flag.optional(),
  lenient: flag.optional(),
  scale: z.number().optional(),
  offset: z.number().optional(),
} satisfies Fields<ValueConfig>);

const format = z.union([
  text,
  z.strictObject({
    type: z.literal('csv'),
    columns: z.array(z.string()).optional(),
    delimiter: z.string().length(1).optional(),
    decimalComma: flag.optional(),
  }),
  z.strictObject({
    type: z.literal('avro'),
    schema: z.union([text, z.record(text, z.unknown()), z.array(z.unknown())]),
    framing: z.enum(['none', 'single-object', 'registry']).optional(),
  }),
]);

const inner = z.strictObject({
  path: text,
  encoding: z.enum(['base64', 'hex', 'text']).optional(),
  lenient: flag.optional(),
  format,
} satisfies Fields<InnerConfig>);

const unit = z.strictObject({
  from: text.optional(),
  path: text.optional(),
  to: text,
} satisfies Fields<UnitConfig>);

const condition = z.union([text, z.record(text, z.array(z.union([z.string(), z.number(), flag])))]);

const part = {
  device: text.optional(),
  each: text.optional(),
  where: z.union([condition, z.array(condition)]).optional(),
  inner: inner.optional(),
  time: time.optional(),
  values: z.record(text, z.union([text, value])).optional(),
  rest: z.enum(['strict', 'numbers', 'ignore']).optional(),
  exclude: names.optional(),
  include: names.optional(),
  skipWith: names.optional(),
  numericText: flag.optional(),
  booleans: z.union([flag, names]).optional(),
  under: text.optional(),
  prefix: text.optional(),
  units: z.record(text, unit).optional(),
} satisfies Fields<PartConfig>;

const sparkplug = z.strictObject({
  rebirth: flag.optional(),
  rebirthEveryMs: z.int().min(0).optional(),
  reorderMs: z.int().min(0).max(60_000).optional(),
  exclude: names.optional(),
  maxNodes: z.int().min(1).optional(),
  maxMetrics: z.int().min(1).optional(),
} satisfies Fields<SparkplugOptions>);

const rule = z.strictObject({
  ...part,
  topic: text,
  ignore: z.union([flag, z.literal('no-values')]).optional(),
  format: format.optional(),
  transform: text.optional(),
  branches: z.array(z.strictObject(part)).min(1).optional(),
  sparkplug: sparkplug.optional(),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).optional(),
} satisfies Fields<RuleConfig>);

const preset = z.strictObject({
  preset: text,
  base: text.optional(),
  zone: text.optional(),
  codec: format.optional(),
  perGateway: flag.optional(),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).optional(),
} satisfies Fields<PresetConfig>);

/** A rule, or what has a field `preset`: told apart by that, so that an error names the field and not the choice. */
const ruleOrPreset = z
  .custom<z.output<typeof rule> | z.output<typeof preset>>()
  .superRefine((given: unknown, context) => {
    const isPreset = typeof given === 'object' && given !== null && 'preset' in given;
    const result = (isPreset ? preset : rule).safeParse(given);
    if (!result.success) context.issues.push(...(result.error.issues as never[]));
  })
  .meta({ fields: [...Object.keys(rule.shape), 'preset'] });

const count = z.int().min(1).optional();
const limits = z.strictObject({
  maxTopicBytes: count,
  maxPayloadBytes: count,
  maxDepth: count,
  maxValues: count,
  maxParts: count,
  maxDeviceNameBytes: count,
  maxQuantityNameBytes: count,
  maxDevices: count,
  maxQuantities: count,
  earliestTime: z.int().optional(),
  maxAheadMs: count,
} satisfies Fields<MappingLimits>);

export const mappingSection = z
  .strictObject({
    rules: z
      .array(ruleOrPreset)
      .min(1)
      .default([{ topic: 'fleet/+device', time: { path: 'time', optional: true }, rest: 'numbers' }])
      .meta({
        description:
          'The first rule whose topic filter matches decides. {preset: tasmota} stands for the rules of a preset.',
      }),
    subscribe: z.array(text).optional().meta({
      description: "Filters to subscribe to instead of the rules' own: what no rule matches is then seen and counted.",
      example: '["#"]',
    }),
    limits: limits
      .default({})
      .meta({ description: 'Bounds on what a message and a fleet may be, for example {maxDevices: 250000}.' }),
    onReject: z
      .partialRecord(z.enum(REJECT_REASONS), z.enum(['dead-letter', 'drop']))
      .default({})
      .meta({ description: 'What becomes of messages that cannot be mapped, by reason: {not-json: drop}.' }),
  })
  .prefault({})
  .meta({ description: 'Which MQTT topics hold readings, and how.' });

export function mappingConfig(section: z.output<typeof mappingSection>): MappingConfig {
  const { subscribe: _, ...config } = section;
  return config as unknown as MappingConfig;
}
