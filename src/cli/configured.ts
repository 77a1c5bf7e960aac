import { existsSync } from 'node:fs';
import { type LoadedConfiguration, loadConfiguration } from '../service/configuration/load.ts';

export const CONFIG_FILE = 'fleetcast.yaml';

export interface ConfigOption {
  readonly config?: string;
}

/** The named file; else `fleetcast.yaml` of the working folder where there is one; else the defaults. */
export function configured(option: ConfigOption): LoadedConfiguration {
  return loadConfiguration(option.config ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined));
}

export const CONFIG_HELP = `configuration file (default: ${CONFIG_FILE} of the working folder where it exists)`;
