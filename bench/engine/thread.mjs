// What each thread of the two-thread benchmark runs.
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { averages } from './averages.mjs';

export default async function make({ path, until }) {
  const log = await openEmbeddedLog({ path });
  const options = { log, topology: averages(), group: 'bench-two', stateTopic: 'state-two', until: new Map(until) };
  return { options, close: () => log.close() };
}
