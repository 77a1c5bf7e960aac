import { type Command, InvalidArgumentError } from 'commander';
import { type PlayProgress, playCsv } from '../../bridges/csv/player.ts';
import { connectPublisher } from '../../bridges/mqtt/publisher.ts';
import { resolveSecret } from '../../service/configuration/secret.ts';
import { defined, factor, list, oneOf, whole } from '../options.ts';
import { durationText, progressBar, type Terminal } from '../terminal.ts';

interface Options {
  readonly csv: string;
  readonly broker: string;
  readonly topic?: string;
  readonly device?: string;
  readonly deviceColumn?: string;
  readonly timeColumn?: string;
  readonly timeFormat?: string;
  readonly zone?: string;
  readonly columns?: readonly { column: string; quantity: string }[];
  readonly delimiter?: string;
  readonly encoding?: 'auto' | 'utf8' | 'latin1' | 'utf16le';
  readonly decimal?: '.' | ',';
  readonly missing?: readonly string[];
  readonly header: boolean;
  readonly skipLines?: number;
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
  program
    .command('publish')
    .description('Play a CSV file over MQTT: one JSON message a row, in the order of the file.')
    .requiredOption('--csv <file>', 'the file')
    .requiredOption('--broker <url>', 'such as mqtt://127.0.0.1:1883 or mqtts://broker:8883')
    .option('--topic <template>', 'MQTT topic; {device} stands for the device', 'fleet/{device}')
    .option('--device <name>', "name of the device (default: the file's name without its ending)")
    .option('--device-column <name>', 'column that names the device of each row')
    .option('--columns <list>', 'columns to publish, as name or name=quantity, comma between them', columnList)
    .option('--time-column <name>', 'column with the time (default: time, date, timestamp and the like)')
    .option('--time-format <format>', 'auto, iso, epoch-s, epoch-ms, or a pattern: "dd.MM.yyyy HH:mm:ss"', 'auto')
    .option('--zone <name>', 'IANA zone of times that say none (default: UTC)')
    .option('--delimiter <character>', 'between columns (default: found out)', delimiter)
    .option('--encoding <name>', 'auto, utf8, latin1 or utf16le', oneOf(['auto', 'utf8', 'latin1', 'utf16le']))
    .option('--decimal <character>', 'decimal point or comma', oneOf(['.', ',']))
    .option('--missing <list>', 'cells that stand for "no value", such as -9999,NaN (empty cells always do)', list)
    .option('--no-header', 'the first line is a row already; columns are called 1, 2, …')
    .option('--skip-lines <n>', 'lines before the header', whole(0))
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
  const given = defined({
    topic: options.topic,
    device: options.device,
    deviceColumn: options.deviceColumn,
    timeColumn: options.timeColumn,
    timeFormat: options.timeFormat,
    zone: options.zone,
    columns: options.columns,
    delimiter: options.delimiter,
    encoding: options.encoding,
    decimal: options.decimal,
    missing: options.missing,
    skipLines: options.skipLines,
    maxRows: options.rows,
    positionFile: options.resume,
  });
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
      header: options.header,
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
          `skipped ${skipped.join(', ') || '0'}`,
          ...(result.badCells > 0
            ? [`cells that are no number ${result.badCells} (first: ${result.firstBadCell})`]
            : []),
          durationText(elapsed),
        ].join(' · '),
      );
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

function delimiter(text: string): string {
  const character = text === '\\t' || text === 'tab' ? '\t' : text;
  if (character.length !== 1) throw new InvalidArgumentError('one character, or tab.');
  return character;
}

function qos(text: string): 0 | 1 | 2 {
  if (!/^[012]$/.test(text)) throw new InvalidArgumentError('0, 1 or 2.');
  return Number(text) as 0 | 1 | 2;
}
