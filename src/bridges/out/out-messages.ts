import { createHash } from 'node:crypto';
import type { Alert, Forecast } from '../../events/records.ts';
import type { HomeAssistantConfig, OutTopic } from './out-config.ts';

export interface OutMessage {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
  readonly qos: 0 | 1 | 2;
}

/** The payload of a forecast. `value`, `lower` and `upper` are those of the chosen step. */
export function forecastPayload(forecast: Forecast, { format = 'json', step = 1 }: OutTopic): string {
  const at = Math.min(step, forecast.values.length) - 1;
  const value = forecast.values[at];
  if (format === 'plain') return value === undefined || !Number.isFinite(value) ? '' : String(value);
  return JSON.stringify({
    device: forecast.device,
    quantity: forecast.quantity,
    origin: new Date(forecast.origin).toISOString(),
    time: new Date(forecast.origin + at * forecast.interval).toISOString(),
    value: value ?? null,
    lower: forecast.lower[at] ?? null,
    upper: forecast.upper[at] ?? null,
    level: forecast.level,
    model: forecast.model,
    intervalSeconds: forecast.interval / 1000,
    values: forecast.values,
    lowers: forecast.lower,
    uppers: forecast.upper,
    ...(forecast.intervals?.length
      ? {
          intervals: forecast.intervals.map(({ level, lower, upper }) => ({
            level,
            lower: lower[at] ?? null,
            upper: upper[at] ?? null,
            lowers: lower,
            uppers: upper,
          })),
        }
      : {}),
  });
}

export function alertPayload(alert: Alert, { format = 'json' }: OutTopic): string {
  if (format === 'plain') return String(alert.actual);
  const { device, quantity, actual, expected, lower, upper, step, model } = alert;
  const time = new Date(alert.time).toISOString();
  return JSON.stringify({ device, quantity, time, actual, expected, lower, upper, step, model });
}

/**
 * The discovery message with which Home Assistant shows a forecast as a sensor: the state is the value of the chosen
 * step, the whole forecast stands in the attributes.
 */
export function discoveryMessage(
  { device, quantity }: { readonly device: string; readonly quantity: string },
  stateTopic: string,
  out: OutTopic,
  config: HomeAssistantConfig,
): OutMessage {
  const series = `${device}\n${quantity}`;
  const id = `fleetcast_${slug(device)}_${slug(quantity)}_${createHash('sha256').update(series).digest('hex').slice(0, 8)}`;
  const json = out.format !== 'plain';
  const unit = config.units?.[quantity];
  return {
    topic: `${config.prefix ?? 'homeassistant'}/sensor/${id}/config`,
    retain: true,
    qos: 1,
    payload: JSON.stringify({
      name: `${quantity} forecast`,
      unique_id: id,
      default_entity_id: `sensor.${id}`,
      state_topic: stateTopic,
      state_class: 'measurement',
      ...(json ? { value_template: '{{ value_json.value }}', json_attributes_topic: stateTopic } : {}),
      ...(unit === undefined ? {} : { unit_of_measurement: unit }),
      device: { identifiers: [`fleetcast_${device}`], name: device, manufacturer: 'fleetcast', model: 'forecast' },
      origin: { name: 'fleetcast' },
    }),
  };
}

function slug(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
    .slice(0, 40);
}
