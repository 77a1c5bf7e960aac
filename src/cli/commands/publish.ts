import { type Command, InvalidArgumentError } from 'commander';
import { type PlayProgress, playCsv } from '../../bridges/csv/player.ts';
import { connectPublisher } from '../../bridges/mqtt/publisher.ts';
import { FleetcastError } from '../../errors.ts';
import { resolveSecret } from '../../service/configuration/secret.ts';
import { addCsvOptions, type CsvOptions, csvFormat } from '../csv-options.ts';
import { defined, factor, list, whole } from '../options.ts';
import { durationText, progressBar, type Terminal } from '../terminal.ts';

interface Options extends CsvOptions {
  readonly csv: string;
  readonly broker: string;
  readonly topic?: string;
  readonly columns?: readonly { column: string; quantity: string }[];
  readonly speed?: number;
  readonly asFastAsPossible?: boolean;
  readonly qos: 0 | 1 | 2;
  readonly resume?: string;
  readonly rows?: number;
  readonly username?: string;
  readonly passwordEnv?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
  readonly window: number;
  readonly json?: boolean;
}

export function addPublish(program: Command, terminal: Terminal): void {
  const command = program
    .command('publish')
    .description('Play a CSV file over MQTT: one JSON message a row, in the order of the file.')
    .requiredOption('--csv <file>', 'the file')
    .requiredOption('--broker <url>', 'such as mqtt://127.0.0.1:1883 or mqtts://broker:8883')
    .option('--topic <template>', 'MQTT topic; {device} stands for the device', 'fleet/{device}');
  addCsvOptions(command)
    .option('--columns <list>', 'columns to publish, as name or name=quantity, comma between them', columnList)
    .option('--speed <factor>', 'event time against real time, such as 3600x', factor)
    .option('--as-fast-as-possible', 'do not wait between rows (the default)')
    .option('--rows <n>', 'play so many rows, counted from the start of the file', whole(1))
    .option('--qos <level>', '0, 1 or 2', qos, 1)
    .option('--window <n>', 'most messages that wait for their acknowledgement', whole(1), 256)
    .option('--resume <file>', 'keep the position in this file, and go on there next time')
    .option('--username <name>', 'user at the broker')
    .option('--password-env <name>', 'environment variable that holds the password')
    .option('--password-file <path>', 'file that holds the password')
    .option('--ca <file>', 'certificate authority to trust, PEM')
    .option('--json', 'the result as JSON')
    .action((options: Options) => publish(options, terminal));
}

async function publish(options: Options, terminal: Terminal): Promise<void> {
  const started = Date.now();
  const given = {
    ...csvFormat(options),
    ...defined({
      topic: options.topic,
      columns: options.columns,
      maxRows: options.rows,
      positionFile: options.resume,
    }),
  };
  const publisher = await connectPublisher({
    url: options.broker,
    window: options.window,
    ...defined({ username: options.username, password: passwordOf(options) }),
    ...(options.ca === undefined ? {} : { tls: { ca: options.ca } }),
  });
  let lastNote = started;
  const onProgress = (progress: PlayProgress) => {
    if (terminal.interactive) terminal.redraw([progressLine(progress)]);
    else if (Date.now() - lastNote > 10_000) {
      lastNote = Date.now();
      terminal.note(progressLine(progress));
    }
  };
  try {
    const result = await playCsv({
      ...given,
      file: options.csv,
      speed: options.asFastAsPossible ? 'max' : (options.speed ?? 'max'),
      qos: options.qos,
      publisher,
      now: Date.now,
      onProgress,
      signal: terminal.signal,
    });
    const elapsed = Date.now() - started;
    if (options.json) terminal.out(JSON.stringify({ ...result, elapsedMs: elapsed }));
    else {
      const skipped = Object.entries(result.skipped).map(([reason, count]) => `${count} ${reason}`);
      terminal.out(
        [
          `rows ${result.rows}`,
          ...(result.resumedAt > 0 ? [`of earlier runs ${result.resumedAt}`] : []),
          `published ${result.published}`,
          `acknowledged ${result.acknowledged}`,
          `skipped ${skipped.join(', ') || '0'}${result.firstSkipped === undefined ? '' : ` (first: ${result.firstSkipped})`}`,
          ...(result.badCells > 0
            ? [`cells that are no number ${result.badCells} (first: ${result.firstBadCell})`]
            : []),
          durationText(elapsed),
        ].join(' · '),
      );
    }
    if (result.published === 0 && result.firstSkipped !== undefined && !result.interrupted) {
      throw new FleetcastError('CSV_INVALID', `${options.csv}: nothing could be published; ${result.firstSkipped}`);
    }
    if (result.interrupted) terminal.note(options.resume ? 'interrupted; run it again to go on' : 'interrupted');
  } finally {
    await publisher.end();
  }
}

function progressLine(progress: PlayProgress): string {
  const at = progress.time === undefined ? '' : ` · ${new Date(progress.time).toISOString().slice(0, 16)}`;
  const bar = progressBar(progress.bytesTotal > 0 ? progress.bytesRead / progress.bytesTotal : 0);
  return `${bar}  ${progress.rows} rows · ${progress.acknowledged} acknowledged${at}`;
}

function passwordOf({ passwordEnv, passwordFile }: Options): string | undefined {
  if (passwordEnv !== undefined) return resolveSecret('--password-env', { env: passwordEnv }, process.cwd());
  if (passwordFile !== undefined) return resolveSecret('--password-file', { file: passwordFile }, process.cwd());
  return undefined;
}

function columnList(text: string): { column: string; quantity: string }[] {
  return list(text).map((each) => {
    const at = each.lastIndexOf('=');
    return at < 1 ? { column: each, quantity: each } : { column: each.slice(0, at), quantity: each.slice(at + 1) };
  });
}

function qos(text: string): 0 | 1 | 2 {
  if (!/^[012]$/.test(text)) throw new InvalidArgumentError('0, 1 or 2.');
  return Number(text) as 0 | 1 | 2;
}
