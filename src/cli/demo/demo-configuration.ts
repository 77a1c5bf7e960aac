import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LoadedConfiguration, loadConfiguration } from '../../service/configuration/load.ts';

/** The demo's configuration in its folder: other commands can look into the demo with it. */
export const DEMO_CONFIG = 'fleetcast.yaml';

/** Hours of history that are played as fast as they are taken, before the fleet goes on at its pace. */
export const BACKLOG_HOURS = 840;

const TEXT = `# Written by the demo at each start.
broker:
  clientId: fleetcast-demo
mapping:
  subscribe: ["#"]
  rules:
    - {topic: fleet/+device, time: {path: time}, rest: numbers}
log:
  embedded: {path: log}
pipeline:
  interval: 1h
  grace: 30m
  idle: 30s
  lookback: 96
  horizon: 24
  season: 24
learner:
  firstAfter: 720
  every: 1080
  width: 32
  maxSteps: 1500
logging:
  level: warn
`;

/** @param folder the demo's own: the log, the fleet's position and this configuration are in it. */
export function demoConfiguration(folder: string): LoadedConfiguration {
  const file = join(folder, DEMO_CONFIG);
  writeFileSync(file, TEXT);
  return loadConfiguration(file);
}
