import { FleetcastError } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import { seriesNamed, seriesOnLog, shownNames } from '../retraining/series-names.ts';
import { closest } from '../service/configuration/suggestion.ts';

/**
 * The keys of the series that `--series` names, plain or as keys.
 * @throws USAGE for one that the history does not have
 */
export async function seriesChosen<T extends readonly string[] | undefined>(
  names: T,
  log: EventLog,
  topic: string,
  signal: AbortSignal,
): Promise<T extends undefined ? undefined : string[]>;
export async function seriesChosen(
  names: readonly string[] | undefined,
  log: EventLog,
  topic: string,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  if (names === undefined) return undefined;
  const keys = await seriesOnLog(log, topic, signal);
  return names.map((name) => {
    const key = seriesNamed(name, keys);
    if (key !== undefined) return key;
    const near = closest(name, [...shownNames(keys).values()]);
    const hint = near === undefined ? '"fleetcast history list" shows which there are' : `did you mean ${near}?`;
    throw new FleetcastError('USAGE', `there is no history of ${name}: ${hint}`);
  });
}
