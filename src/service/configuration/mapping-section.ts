import { z } from 'zod';

/** Which MQTT topics hold readings, and how. Without rules: `fleet/+device` with a JSON object of numbers. */
export const mappingSection = z
  .array(
    z.strictObject({
      topic: z.string().min(1),
      device: z.string().min(1).optional(),
      values: z.union([z.string().min(1), z.record(z.string(), z.string().min(1))]).optional(),
      time: z.string().min(1).optional(),
    }),
  )
  .default([])
  .meta({
    description: 'Topic filters with named wildcards, and where values and time stand in the payload.',
    example: '[{topic: "fleet/+device"}]',
  });
