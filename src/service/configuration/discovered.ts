import { stringify } from 'yaml';
import type { Discovery } from '../../bridges/discover/discover.ts';
import type { SecretReference } from './secret.ts';

export interface DiscoveredBroker {
  readonly url: string;
  readonly username?: string;
  readonly password?: SecretReference;
  readonly caFile?: string;
}

/** A configuration file of what `fleetcast discover` has found, with what it is sure of in comments. */
export function discoveredConfiguration(found: Discovery, broker: DiscoveredBroker): string {
  const lines = [
    '# Written by `fleetcast discover`. `fleetcast check` shows what becomes of messages; `fleetcast run` starts it.',
    '# All else keeps its defaults: `fleetcast init -` shows every field.',
    '',
    stringify({ broker }, { lineWidth: 0 }).trimEnd(),
    '',
    'mapping:',
    '  rules:',
  ];
  for (const { entry, name, messages, confidence, notes } of found.entries) {
    lines.push(`    # ${oneLine(name)}: ${messages} messages, confidence ${confidence}`);
    for (const note of notes) lines.push(`    # ${oneLine(note)}`);
    lines.push(...item(entry));
  }
  if (found.entries.length === 0) {
    lines.push('    # Nothing was recognised; this is the form of `fleetcast publish`.', ...item(DEFAULT_RULE));
  }
  return `${lines.join('\n')}\n`;
}

const DEFAULT_RULE = { topic: 'fleet/+device', time: { path: 'time', optional: true }, rest: 'numbers' };

function item(entry: object): string[] {
  return stringify([entry], { lineWidth: 0 })
    .trimEnd()
    .split('\n')
    .map((line) => `    ${line}`);
}

/** Topics are foreign text: none may end its comment. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\u0085\u2028\u2029]+/g, ' ');
}
