import { FleetcastError } from '../../errors.ts';
import type { PresetConfig, RuleConfig } from '../mapping/config.ts';
import { chirpstack } from './chirpstack.ts';
import { esphome } from './esphome.ts';
import { homeAssistant } from './home-assistant.ts';
import { jsonValue } from './json-value.ts';
import { loriot } from './loriot.ts';
import { openMqttGateway } from './openmqttgateway.ts';
import type { Preset } from './preset.ts';
import { ruuviGateway } from './ruuvi-gateway.ts';
import { shelly } from './shelly.ts';
import { shellyGen1 } from './shelly-gen1.ts';
import { sparkplug } from './sparkplug.ts';
import { tasmota } from './tasmota.ts';
import { theThingsStack } from './the-things-stack.ts';
import { thingsboardGateway } from './thingsboard-gateway.ts';
import { victron } from './victron.ts';
import { wanesy } from './wanesy.ts';
import { zigbee2mqtt } from './zigbee2mqtt.ts';

export const PRESETS: readonly Preset[] = [
  zigbee2mqtt,
  tasmota,
  openMqttGateway,
  shelly,
  shellyGen1,
  chirpstack,
  theThingsStack,
  loriot,
  wanesy,
  thingsboardGateway,
  ruuviGateway,
  homeAssistant,
  esphome,
  victron,
  sparkplug,
  jsonValue,
];

/** @throws CONFIG_INVALID for a preset that is not known. */
export function findPreset(name: string): Preset {
  const found = PRESETS.find((preset) => preset.name === name);
  if (found !== undefined) return found;
  const names = PRESETS.map((preset) => preset.name).join(', ');
  throw new FleetcastError('CONFIG_INVALID', `no preset is called ${JSON.stringify(name)}; there are ${names}`, {
    details: { preset: name },
  });
}

/** The rules that a preset stands for. @throws CONFIG_INVALID for a preset that is not known. */
export function expandPreset({ preset, ...options }: PresetConfig): readonly RuleConfig[] {
  const rules = findPreset(preset).rules(options);
  return options.qos === undefined ? rules : rules.map((rule) => ({ ...rule, qos: options.qos! }));
}
