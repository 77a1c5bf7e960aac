import { type LoadedConfiguration, parseConfiguration } from '../../service/configuration/load.ts';

/** Hours of history that are played as fast as they are taken, before the fleet goes on at its pace. */
export const BACKLOG_HOURS = 1_080;

const TEXT = `
broker:
  clientId: fleetcast-demo
mapping:
  subscribe: ["#"]
  rules:
    - {topic: fleet/+device, time: {path: time}, rest: strict}
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
  firstAfter: 960
  every: 1440
  width: 32
  maxSteps: 1500
logging:
  level: warn
`;

/** @param folder the demo's own: the log and the fleet's position are in it. */
export function demoConfiguration(folder: string): LoadedConfiguration {
  return { ...parseConfiguration(TEXT, 'demo'), file: undefined, folder };
}
