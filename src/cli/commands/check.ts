import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { type Explanation, explainMessages } from '../../bridges/check/explain.ts';
import { lintMapping } from '../../bridges/check/lint.ts';
import { parseMessages } from '../../bridges/check/messages.ts';
import { FleetcastError, messageOf } from '../../errors.ts';
import { lineFinder } from '../../service/configuration/load.ts';
import { missingHere } from '../../service/configuration/machine.ts';
import { mappingConfig } from '../../service/configuration/mapping-section.ts';
import { CONFIG_HELP, type ConfigOption, configured } from '../configured.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly samples?: string;
  readonly topic?: string;
  readonly payload?: string;
  readonly json?: boolean;
}

export function addCheck(program: Command, terminal: Terminal): void {
  program
    .command('check')
    .description(
      'Check a configuration and its mapping, and show what sample messages become and why. Ends with 1 where samples are refused.',
    )
    .option('--config <file>', CONFIG_HELP)
    .option(
      '--samples <file>',
      'sample messages: JSON, JSON lines, or what mosquitto_sub writes with -F %j or -v; - for standard input',
    )
    .option('--topic <topic>', 'one sample message, with --payload')
    .option('--payload <text>', 'its payload')
    .option('--json', 'one line of JSON for each message, then one with the findings')
    .action((options: Options) => run(options, terminal));
}

function run(options: Options, terminal: Terminal): void {
  const configuration = configured(options);
  const { file } = configuration;
  const config = mappingConfig(configuration.mapping);
  const messages = samples(options);
  const lineOf = file === undefined ? () => 0 : lineFinder(readFileSync(file, 'utf8'));
  const findings = lintMapping(config).map((each) => ({ ...each, line: lineOf(['mapping', 'rules', each.rule]) }));
  const explained = explainMessages(config, messages);
  if (options.json) {
    for (const { topic, mapped, fate, why } of explained) {
      const { rule, readings, rejected } = mapped;
      terminal.out(JSON.stringify({ topic, rule, fate, readings, rejected, why }));
    }
    terminal.out(JSON.stringify({ valid: true, findings, machine: missingHere(configuration) }));
  } else {
    const count = config.rules.length;
    terminal.out(`valid: ${count} ${count === 1 ? 'rule' : 'rules'}`);
    for (const { level, rule, name, message, line } of findings) {
      const at = line === 0 || file === undefined ? '' : `${basename(file)}:${line}: `;
      terminal.out(`${level}: ${at}rule ${rule + 1} (${name}): ${message}`);
    }
    for (const message of missingHere(configuration)) terminal.out(`warning: ${message}`);
    for (const each of explained) report(each, terminal);
    if (explained.length > 0) terminal.out(summary(explained));
  }
  const refused = explained.filter(isRefused);
  if (refused.length === 0 && (explained.length === 0 || explained.some(({ fate }) => fate === 'readings'))) return;
  const [{ topic, mapped }] = [...refused, ...explained] as [Explanation];
  const [first] = mapped.rejected;
  throw new FleetcastError(
    'BRIDGE_PAYLOAD',
    `${refused.length === 0 ? 'no sample becomes a reading' : `${refused.length} of ${explained.length} ${explained.length === 1 ? 'samples is' : 'samples are'} refused`}; the first: ${topic}: ${first?.reason}: ${first?.message}`,
  );
}

/** A message, or a part of it, that a rule takes and that goes to the dead letters. Topics that no rule reads are no error. */
function isRefused({ kept, mapped }: Explanation): boolean {
  return kept && mapped.rule !== undefined;
}

/** `5 messages: 3 become readings, 1 dropped (no-values 1), 1 to the dead letters (not-json 1)` */
function summary(explained: readonly Explanation[]): string {
  const parts = (['readings', 'dropped', 'dead-letter'] as const).flatMap((fate) => {
    const of = explained.filter((each) => each.fate === fate);
    if (of.length === 0) return [];
    const reasons = new Map<string, number>();
    for (const { mapped } of of) {
      for (const reason of new Set(mapped.rejected.map((each) => each.reason))) {
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      }
    }
    const list = [...reasons].map(([reason, count]) => `${reason} ${count}`).join(', ');
    const what = {
      readings: of.length === 1 ? 'becomes readings' : 'become readings',
      dropped: 'dropped',
      'dead-letter': 'to the dead letters',
    }[fate];
    return [`${of.length} ${what}${list === '' ? '' : ` (${fate === 'readings' ? 'but for ' : ''}${list})`}`];
  });
  return `${explained.length} ${explained.length === 1 ? 'message' : 'messages'}: ${parts.join(', ')}`;
}

function report({ topic, arrival, mapped, captures, fate, why }: Explanation, terminal: Terminal): void {
  if (mapped.rule === undefined) {
    terminal.out(`${topic}  ${why[0]}`);
    return;
  }
  terminal.out(`${topic}  rule ${mapped.rule}`);
  for (const { device, time, values } of mapped.readings) {
    const clock = time === arrival ? 'at its arrival' : new Date(time).toISOString();
    terminal.out(`  ${device}  ${clock}  ${JSON.stringify(values)}`);
  }
  const names = Object.entries(captures).map(([name, value]) => `${name} = ${value}`);
  if (fate !== 'readings' && names.length > 0) terminal.out(`  ${names.join(', ')}`);
  for (const line of why.slice(1 + mapped.readings.length)) terminal.out(`  ${line}`);
}

function samples({ samples: file, topic, payload }: Options) {
  const now = Date.now();
  if (topic !== undefined) return [{ topic, payload: Buffer.from(payload ?? ''), arrival: now }];
  if (payload !== undefined) throw new FleetcastError('USAGE', '--payload needs --topic');
  if (file === undefined) return [];
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new FleetcastError('USAGE', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  return parseMessages(text, now);
}
