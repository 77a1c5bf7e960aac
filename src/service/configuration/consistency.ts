import { isLoopback } from '../../bridges/broker/access.ts';
import { lintMapping } from '../../bridges/check/lint.ts';
import { compileMapping } from '../../bridges/mapping/mapping.ts';
import { refuseLoop } from '../../bridges/out/out-config.ts';
import { isFleetcastError } from '../../errors.ts';
import { forecastingTopology } from '../../pipelines/forecasting.ts';
import { pipelineOf } from '../pipeline-settings.ts';
import { mappingConfig } from './mapping-section.ts';
import { outConfig } from './out-section.ts';
import type { Configuration } from './schema.ts';

/** What the fields say together, or mean, cannot run. */
export interface Inconsistency {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/**
 * What a configuration whose fields are right each by itself is still refused for, so that every command refuses what
 * `run` would. What depends on the machine (files, variables, ports) is not looked at.
 */
export function inconsistencies(configuration: Configuration): readonly Inconsistency[] {
  const found: Inconsistency[] = [];
  const say = (path: readonly (string | number)[], message: string) => found.push({ path, message });
  const { broker, http } = configuration;
  if (http.enabled && !isLoopback(http.host) && http.token === undefined) {
    say(['http', 'host'], `the page may listen on ${http.host} only with a token (http.token)`);
  }
  const { embedded } = broker;
  if (embedded !== undefined && !isLoopback(embedded.host)) {
    const open = embedded.allowAnonymous === true || (embedded.users?.length ?? 0) > 0;
    if (!open) say(['broker', 'embedded', 'host'], `on ${embedded.host} it needs users, or allowAnonymous: true`);
  }
  if (broker.url === undefined && broker.sharedGroup !== undefined) {
    say(['broker', 'sharedGroup'], 'the embedded broker has no shared subscriptions: it needs broker.url');
  }
  if (broker.keyFile !== undefined && broker.certFile === undefined) {
    say(['broker', 'keyFile'], 'a key needs its certificate (certFile)');
  }
  const { topics, pipeline } = configuration;
  if (pipeline.threads > topics.partitions) {
    say(['pipeline', 'threads'], `${pipeline.threads} threads for ${topics.partitions} partitions (topics.partitions)`);
  }
  mappingAndOut(configuration, say);
  try {
    // Nothing runs: no model is ever asked for.
    forecastingTopology(pipelineOf(configuration), { load: () => Promise.reject(new Error('not running')) });
  } catch (error) {
    if (!isFleetcastError(error)) throw error;
    say(['pipeline'], error.message);
  }
  return found;
}

function mappingAndOut(
  configuration: Configuration,
  say: (path: readonly (string | number)[], message: string) => void,
): void {
  const config = mappingConfig(configuration.mapping);
  const broken = lintMapping(config).filter(({ level }) => level === 'error');
  for (const { rule, message } of broken) say(['mapping', 'rules', rule], message);
  if (broken.length > 0) return;
  try {
    const mapping = compileMapping(config);
    const out = outConfig(configuration.out);
    if (out !== undefined) refuseLoop(out, mapping);
  } catch (error) {
    if (!isFleetcastError(error)) throw error;
    say(['out'], error.message);
  }
}
