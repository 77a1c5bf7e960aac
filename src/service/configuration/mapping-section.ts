import { z } from 'zod';
import type { MappingConfig } from '../../bridges/mapping/config.ts';

const text = z.string().min(1);

const time = z.strictObject({
  path: text,
  format: text.optional(),
  zone: text.optional(),
  optional: z.boolean().optional(),
});

const value = z.strictObject({
  path: text,
  optional: z.boolean().optional(),
  states: z.record(text, z.number()).optional(),
  numericText: z.boolean().optional(),
  scale: z.number().optional(),
  offset: z.number().optional(),
});

const rule = z.looseObject({
  topic: text,
  ignore: z.boolean().optional(),
  format: text.optional(),
  device: text.optional(),
  each: text.optional(),
  time: time.optional(),
  values: z.record(text, z.union([text, value])).optional(),
  rest: z.enum(['strict', 'numbers', 'ignore']).optional(),
  exclude: z.array(text).optional(),
  include: z.array(text).optional(),
  numericText: z.boolean().optional(),
  booleans: z.boolean().optional(),
  under: text.optional(),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).optional(),
});

const positive = z.int().min(1);

/** What messages mean; see the mapping room for the meaning of each field. */
export const mappingSection = z
  .strictObject({
    rules: z
      .array(rule.strict())
      .min(1)
      .default([{ topic: 'fleet/+device', time: { path: 'time', optional: true }, rest: 'strict' }])
      .meta({ description: 'The first rule whose topic filter matches decides. Wildcards may have names.' }),
    limits: z
      .strictObject({
        maxTopicBytes: positive.optional(),
        maxPayloadBytes: positive.optional(),
        maxDepth: positive.optional(),
        maxValues: positive.optional(),
        maxParts: positive.optional(),
        maxDeviceNameBytes: positive.optional(),
        maxQuantityNameBytes: positive.optional(),
        maxDevices: positive.optional(),
        maxQuantities: positive.optional(),
      })
      .default({})
      .meta({ description: 'Bounds on what a message and a fleet may be, for example {maxDevices: 250000}.' }),
    onReject: z
      .record(text, z.enum(['dead-letter', 'drop']))
      .default({})
      .meta({ description: 'What becomes of messages that cannot be mapped, by reason: {not-json: drop}.' }),
  })
  .prefault({})
  .meta({ description: 'Which MQTT topics hold readings, and how.' });

/** The mapping room checks the rest (filters, paths, formats) when it compiles the rules. */
export function mappingConfig(section: z.output<typeof mappingSection>): MappingConfig {
  return section as unknown as MappingConfig;
}
