import type { PresetConfig } from '../mapping/config.ts';
import type { Sample } from './collector.ts';

/**
 * What a message's topic and fields say about the family of devices that it is from. A candidate is only a guess: it is
 * tried on all messages before it is believed.
 */
type Sign = (topic: string, json: Record<string, unknown> | undefined) => PresetConfig | undefined;

const preset = (name: string, base: string | undefined, usual: string | undefined): PresetConfig =>
  base === undefined || base === usual || base === '' ? { preset: name } : { preset: name, base };

/** Without a base of its own it would take what belongs to others. */
const LAST: PresetConfig = { preset: 'esphome' };

const SIGNS: readonly Sign[] = [
  (topic) => {
    const found = /^(.+)\/bridge\/(?:state|info|devices|groups|definitions)$/.exec(topic);
    return found === null ? undefined : preset('zigbee2mqtt', found[1], 'zigbee2mqtt');
  },
  (topic) => (topic.startsWith('zigbee2mqtt/') ? { preset: 'zigbee2mqtt' } : undefined),
  (topic, json) =>
    /^tele\/.+\/(?:SENSOR|STATE|LWT)$|^[^/]+\/tele\/(?:SENSOR|STATE)$/.test(topic) &&
    (json === undefined || 'Time' in json || 'ZbReceived' in json)
      ? { preset: 'tasmota' }
      : undefined,
  (topic) => {
    const found = /^(.+)\/[^/]+\/(?:BTtoMQTT|RTL_433toMQTT|SYStoMQTT|CLIMAtoMQTT|LORAtoMQTT)(?:\/|$)/.exec(topic);
    return found === null ? undefined : preset('openmqttgateway', found[1], 'home');
  },
  (topic, json) => {
    const found = /^(?:(.+)\/)?[^/]+\/(?:status\/[a-z0-9]+:\d+|events\/rpc)$/.exec(topic);
    const right = json !== undefined && (topic.endsWith('/rpc') ? 'method' in json && 'params' in json : 'id' in json);
    return found === null || !right ? undefined : preset('shelly', found[1], undefined);
  },
  (topic) => (/^shellies\/[^/]+\//.test(topic) ? { preset: 'shelly-gen1' } : undefined),
  (topic, json) => {
    const found = /^(.+?)\/[^/]+\/device\/[^/]+\/event\/\w+$/.exec(topic);
    return found === null || json?.['deviceInfo'] === undefined
      ? undefined
      : preset('chirpstack', found[1], 'application');
  },
  (topic, json) => {
    const found = /^(.+?)\/[^/]+\/devices\/[^/]+\/(?:up|join|down\/.+|service\/data)$/.exec(topic);
    const right = json?.['end_device_ids'] !== undefined || json?.['data'] !== undefined;
    return found === null || !right ? undefined : preset('the-things-stack', found[1], 'v3');
  },
  (topic, json) =>
    typeof json?.['EUI'] === 'string' && typeof json['cmd'] === 'string'
      ? preset('loriot', topic.split('/')[0], 'loriot')
      : undefined,
  (topic, json) =>
    json?.['endDevice'] !== undefined && json['encodingType'] !== undefined
      ? preset('wanesy', topic.split('/')[0], 'wanesy')
      : undefined,
  (topic, json) => {
    const found = /^(.*\bgateway)\/telemetry$/.exec(topic);
    const lists = json === undefined ? [] : Object.values(json);
    return found === null || lists.length === 0 || !lists.every(Array.isArray)
      ? undefined
      : preset('thingsboard-gateway', found[1], 'v1/gateway');
  },
  (topic, json) => {
    const found = /^(.+)\/[^/]+\/[^/]+$/.exec(topic);
    return found === null || json?.['gw_mac'] === undefined ? undefined : preset('ruuvi-gateway', found[1], 'ruuvi');
  },
  (topic) => {
    const found = /^([^/]+)\/[^/]+\/(?:NBIRTH|DBIRTH|NDATA|DDATA|NDEATH|DDEATH)\/.+$/.exec(topic);
    return found === null ? undefined : preset('sparkplug', found[1], 'spBv1.0');
  },
  (topic, json) =>
    /^N\/[0-9a-f]{8,}\/[a-z]+\/\d+\/./.test(topic) && json !== undefined && 'value' in json
      ? { preset: 'victron' }
      : undefined,
  (topic) => {
    // What only statestream sends: attributes, and domains that no device has. The states alone look like ESPHome's.
    const found =
      /^(homeassistant)\/(?:sensor|binary_sensor|switch|light|climate)\/[^/]+\/state$/.exec(topic) ??
      /^(.+)\/[a-z_]+\/[^/]+\/(?:last_changed|last_updated|friendly_name)$/.exec(topic) ??
      /^(.+)\/(?:weather|sun|person|zone|input_(?:number|boolean|select))\/[^/]+\/state$/.exec(topic);
    return found === null ? undefined : preset('home-assistant', found[1], 'homeassistant');
  },
  (topic) =>
    /^[^/]+\/(?:sensor|binary_sensor|switch|number)\/[^/]+\/state$/.test(topic) && !topic.startsWith('homeassistant/')
      ? LAST
      : undefined,
];

/** The presets that these messages hint at, those that more messages hint at first. */
export function candidates(samples: readonly Sample[]): readonly PresetConfig[] {
  const votes = new Map<string, { readonly config: PresetConfig; count: number }>();
  for (const { topic, payload } of samples) {
    const json = objectOf(payload);
    for (const sign of SIGNS) {
      const config = sign(topic, json);
      if (config === undefined) continue;
      const key = JSON.stringify(config);
      const vote = votes.get(key);
      if (vote === undefined) votes.set(key, { config, count: 1 });
      else vote.count++;
    }
  }
  const place = ({ config, count }: { config: PresetConfig; count: number }) => (config === LAST ? 0 : count);
  return [...votes.values()].sort((a, b) => place(b) - place(a)).map(({ config }) => config);
}

function objectOf(payload: Uint8Array): Record<string, unknown> | undefined {
  if (payload[0] !== 0x7b || payload.length > 256 * 1024) return undefined;
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8')) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
