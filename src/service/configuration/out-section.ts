import { z } from 'zod';
import { type HomeAssistantConfig, OUT_DEFAULTS, type OutConfig, type OutTopic } from '../../bridges/out/out-config.ts';

type Fields<T> = { readonly [K in keyof Required<T>]: z.ZodType };

const topic = z.strictObject({
  topic: z.string().min(1),
  format: z.enum(['json', 'plain']).optional(),
  step: z.int().min(1).max(1024).optional(),
  retain: z.boolean().optional(),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).optional(),
} satisfies Fields<OutTopic>);

const homeAssistant = z.strictObject({
  prefix: z.string().min(1).optional(),
  units: z.record(z.string(), z.string()).optional(),
} satisfies Fields<HomeAssistantConfig>);

/** What goes back to MQTT. */
export const outSection = z
  .strictObject({
    enabled: z.boolean().default(false).meta({ description: 'Publish forecasts and alerts to the broker.' }),
    forecasts: topic.optional().meta({
      description: 'Where forecasts go; format json or plain (one number: that of `step`).',
      example: `{topic: "${OUT_DEFAULTS.forecasts!.topic}", format: json, step: 1, retain: true, qos: 1}`,
    }),
    alerts: topic.optional().meta({
      description: 'Where alerts go.',
      example: `{topic: "${OUT_DEFAULTS.alerts!.topic}"}`,
    }),
    homeAssistant: homeAssistant.optional().meta({
      description: 'Announce forecasts to Home Assistant as sensors.',
      example: '{prefix: homeassistant, units: {temperature: "°C"}}',
    }),
  })
  .prefault({})
  .meta({ description: 'Forecasts and alerts, back to MQTT.' });

/** Undefined where nothing is to be published; both topics have defaults. */
export function outConfig(section: z.output<typeof outSection>): OutConfig | undefined {
  if (!section.enabled) return undefined;
  const { forecasts, alerts, homeAssistant: home } = section;
  return {
    ...OUT_DEFAULTS,
    ...(forecasts === undefined ? {} : { forecasts: forecasts as OutTopic }),
    ...(alerts === undefined ? {} : { alerts: alerts as OutTopic }),
    ...(home === undefined ? {} : { homeAssistant: home as HomeAssistantConfig }),
  };
}
