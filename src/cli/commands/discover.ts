import { existsSync, writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { Collector } from '../../bridges/discover/collector.ts';
import { type Discovery, discover, type FoundDevice } from '../../bridges/discover/discover.ts';
import { listen } from '../../bridges/mqtt/listener.ts';
import { FleetcastError, messageOf } from '../../errors.ts';
import { discoveredConfiguration } from '../../service/configuration/discovered.ts';
import { resolveSecret, type SecretReference } from '../../service/configuration/secret.ts';
import { defined, duration, list, whole } from '../options.ts';
import { durationText, progressBar, type Terminal, textTable } from '../terminal.ts';

interface Options {
  readonly broker: string;
  readonly for: number;
  readonly filter: readonly string[];
  readonly max: number;
  readonly write?: string;
  readonly force?: boolean;
  readonly username?: string;
  readonly passwordEnv?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
  readonly json?: boolean;
}

export function addDiscover(program: Command, terminal: Terminal): void {
  program
    .command('discover')
    .description('Listen to a broker, recognise what is sent, and write a configuration for it.')
    .requiredOption('--broker <url>', 'such as mqtt://127.0.0.1:1883 or mqtts://broker:8883')
    .addOption(new Option('--for <duration>', 'how long to listen').argParser(duration).default(60_000, '60s'))
    .addOption(
      new Option('--filter <list>', 'topic filters to listen to, comma between them')
        .argParser(list)
        .default(['#'], '#'),
    )
    .option('--max <n>', 'most messages to keep', whole(1), 50_000)
    .option('--write <file>', 'write the configuration to this file; - for standard output')
    .option('--force', 'write over a file that exists')
    .option('--username <name>', 'user at the broker')
    .option('--password-env <name>', 'environment variable that holds the password')
    .option('--password-file <path>', 'file that holds the password')
    .option('--ca <file>', 'certificate authority to trust, PEM')
    .option('--json', 'the result as JSON')
    .action((options: Options) => run(options, terminal));
}

async function run(options: Options, terminal: Terminal): Promise<void> {
  const { write } = options;
  if (write !== undefined && write !== '-' && existsSync(write) && !options.force) {
    throw new FleetcastError('USAGE', `${write} exists; --force writes over it`);
  }
  const password = passwordReference(options);
  const found = discover(await collect(options, password, terminal));
  if (options.json) terminal.out(JSON.stringify(found));
  else if (write !== '-') report(found, terminal);
  if (write === undefined) return;
  const text = discoveredConfiguration(found, {
    url: options.broker,
    ...defined({ username: options.username, password, caFile: options.ca }),
  });
  if (write === '-') return terminal.out(text.trimEnd());
  try {
    writeFileSync(write, text);
  } catch (cause) {
    throw new FleetcastError('USAGE', `cannot write ${write}: ${messageOf(cause)}`, { cause });
  }
  terminal.note(`wrote ${write}; see what it does with: fleetcast check --config ${write} --samples FILE`);
  terminal.note(`start it with: fleetcast run --config ${write}`);
}

async function collect(options: Options, password: SecretReference | undefined, terminal: Terminal) {
  const collector = new Collector({ maxMessages: options.max });
  const started = Date.now();
  let drawn = 0;
  await listen({
    connection: {
      url: options.broker,
      ...defined({
        username: options.username,
        password: password === undefined ? undefined : resolveSecret('the password', password, process.cwd()),
      }),
      ...(options.ca === undefined ? {} : { tls: { ca: options.ca } }),
    },
    filters: options.filter,
    forMs: options.for,
    signal: terminal.signal,
    onMessage: (message) => {
      const now = Date.now();
      if (terminal.interactive && now - drawn > 200) {
        drawn = now;
        const bar = progressBar((now - started) / options.for);
        terminal.redraw([`${bar}  ${collector.heard} messages · ${collector.topics} topics`]);
      }
      return collector.add({ ...message, arrival: now });
    },
  });
  return collector.samples;
}

function report(found: Discovery, terminal: Terminal): void {
  terminal.out(`${found.messages} messages on ${found.topics} topics`);
  if (found.entries.length > 0) {
    const rows = found.entries.map(({ name, messages, confidence, time, entry }) => [
      name,
      'preset' in entry ? 'preset' : 'rule',
      String(messages),
      confidence.toFixed(2),
      time === undefined ? '' : `${time.path} (${time.format}, ${time.confidence.toFixed(2)})`,
    ]);
    terminal.out('');
    terminal.out(textTable(['recognised', 'as', 'messages', 'confidence', 'time'], rows));
    for (const { name, notes } of found.entries) for (const note of notes) terminal.out(`  ${name}: ${note}`);
  }
  if (found.devices.length > 0) {
    const shown = found.devices.slice(0, 50);
    terminal.out('');
    const longest = shown.reduce((length, { device }) => Math.max(length, device.length), 6);
    const room = Math.max(40, terminal.width - longest - 26);
    const rows = shown.map((device) => deviceRow(device, room));
    terminal.out(textTable(['device', 'readings', 'interval', 'quantities'], rows));
    if (shown.length < found.devices.length) terminal.out(`and ${found.devices.length - shown.length} more devices`);
  }
  const { readings = 0, ...refused } = found.outcome;
  const others = Object.entries(refused).map(([reason, count]) => `${count} ${reason}`);
  terminal.out('');
  terminal.out([`${readings} readings`, ...others].join(' · '));
  if (found.unread.length > 0) {
    const more = found.unread.length > 10 ? ` and ${found.unread.length - 10} more` : '';
    terminal.out(`topics that nothing reads: ${found.unread.slice(0, 10).join(', ')}${more}`);
  }
}

/** @param room characters for the quantities: those that do not fit are counted. */
function deviceRow({ device, readings, intervalMs, quantities }: FoundDevice, room: number): string[] {
  const names = quantities.map(({ name, unit, unitConfidence }) => {
    if (unit === undefined) return name;
    return `${name} [${unit}${unitConfidence < 0.8 ? '?' : ''}]`;
  });
  let fit = names.length;
  const text = () => names.slice(0, fit).join(', ') + (fit < names.length ? ` and ${names.length - fit} more` : '');
  while (fit > 1 && text().length > room) fit--;
  return [device, String(readings), intervalMs === undefined ? '–' : durationText(intervalMs), text()];
}

function passwordReference({ passwordEnv, passwordFile }: Options): SecretReference | undefined {
  if (passwordEnv !== undefined) return { env: passwordEnv };
  return passwordFile === undefined ? undefined : { file: passwordFile };
}
