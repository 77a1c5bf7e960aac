import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from 'csv-parse';
import { FleetcastError, messageOf } from '../../errors.ts';
import type { Publisher } from '../mqtt/publisher.ts';
import { type CsvFormat, csvLayout, parserOptions } from './layout.ts';
import { DoneRows, fileSize, playIdentity, readPosition, writePosition } from './position.ts';
import { type CsvColumns, rowMapper } from './row-mapper.ts';

export interface PlayOptions extends CsvFormat, CsvColumns {
  readonly publisher: Publisher;
  /** MQTT topic; `{device}` stands for the device. Default `fleet/{device}`. */
  readonly topic?: string;
  readonly qos?: 0 | 1 | 2;
  /** Event time against real time: 3600 plays an hour in a second; `max` as fast as it goes. Default `max`. */
  readonly speed?: number | 'max';
  /** File in which the position is kept: a later run goes on where this one was acknowledged. */
  readonly positionFile?: string;
  /** Most rows to play, counted from the start of the file. */
  readonly maxRows?: number;
  readonly now: () => number;
  readonly onProgress?: (progress: PlayProgress) => void;
  /** Ends early; what was published is still waited for. */
  readonly signal?: AbortSignal;
}

export interface PlayProgress {
  /** Rows read, those of earlier runs among them. */
  readonly rows: number;
  /** Rows of earlier runs. */
  readonly resumedAt: number;
  readonly published: number;
  readonly acknowledged: number;
  /** Event time of the last row. */
  readonly time: number | undefined;
  readonly bytesRead: number;
  readonly bytesTotal: number;
}

export interface PlayResult extends PlayProgress {
  /** Rows that could not be played, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** The first of them: its number, the reason and how it begins. */
  readonly firstSkipped: string | undefined;
  /** Cells that were neither a number nor missing; their rows were played without them. */
  readonly badCells: number;
  readonly firstBadCell: string | undefined;
  readonly quantities: readonly string[];
  /** The signal ended it before the file did. */
  readonly interrupted: boolean;
}

/**
 * Publishes a CSV file row by row as JSON (`{"time": ms, "<quantity>": number, …}`), in the order of the file: a time
 * that goes back is played as it stands.
 *
 * @throws CSV_INVALID for a file that cannot be read as the options say.
 */
export async function playCsv(options: PlayOptions): Promise<PlayResult> {
  const layout = await csvLayout(options);
  const mapper = rowMapper(layout, options, options.file);
  const identity = await identityOf(options, mapper.quantities);
  const { publisher, positionFile, signal, maxRows = Number.POSITIVE_INFINITY } = options;
  const resumedAt = positionFile === undefined ? 0 : await readPosition(positionFile, identity);
  const done = new DoneRows(resumedAt);
  const topicOf = topicTemplate(options.topic ?? 'fleet/{device}');
  const bytesTotal = await fileSize(options.file);
  const pace = new Pace(options.speed ?? 'max', options.now, signal);
  const skipped: Record<string, number> = {};
  let rows = 0;
  let published = 0;
  let acknowledged = 0;
  let badCells = 0;
  let firstBadCell: string | undefined;
  let firstSkipped: string | undefined;
  let time: number | undefined;

  const source = createReadStream(options.file);
  const parser = parse({
    ...parserOptions(layout.delimiter),
    encoding: layout.encoding,
    from_line: layout.headerLines + 1,
  });
  source.on('error', (error) => parser.destroy(error));
  const progress = (): PlayProgress => ({
    rows,
    resumedAt,
    published,
    acknowledged,
    time,
    bytesRead: source.bytesRead,
    bytesTotal,
  });
  const keeper = positionFile === undefined ? undefined : new PositionKeeper(positionFile, identity, done);
  const reporter = setInterval(() => {
    options.onProgress?.(progress());
    keeper?.save();
  }, 500);

  try {
    for await (const cells of source.pipe(parser) as AsyncIterable<string[]>) {
      if (rows >= maxRows || signal?.aborted) break;
      const index = rows++;
      if (index < resumedAt) continue;
      const row = mapper.map(cells, (column, cell) => {
        badCells++;
        firstBadCell ??= `row ${index + 1}, column ${column}: ${JSON.stringify(cell.slice(0, 40))}`;
      });
      if (typeof row === 'string') {
        skipped[row] = (skipped[row] ?? 0) + 1;
        firstSkipped ??= `row ${index + 1}: ${row}: ${mapper.describe(cells)}`;
        done.done(index);
        continue;
      }
      if (!(await pace.until(row.time))) {
        rows--;
        break;
      }
      time = row.time;
      published++;
      await publisher.publish(
        topicOf(row.device),
        JSON.stringify({ time: row.time, ...row.values }),
        { qos: options.qos ?? 1 },
        () => {
          acknowledged++;
          done.done(index);
        },
      );
    }
    await publisher.flush();
  } catch (error) {
    if (error instanceof FleetcastError) throw error;
    throw new FleetcastError('CSV_INVALID', `${options.file}, after row ${rows}: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    clearInterval(reporter);
    source.destroy();
    keeper?.save();
    await keeper?.settled();
  }
  options.onProgress?.(progress());
  return {
    ...progress(),
    skipped,
    firstSkipped,
    badCells,
    firstBadCell,
    quantities: mapper.quantities,
    interrupted: signal?.aborted ?? false,
  };
}

async function identityOf(options: PlayOptions, quantities: readonly string[]): Promise<string> {
  const handle = await open(options.file);
  try {
    const bytes = Buffer.alloc(4096);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    const settings = [quantities, options.topic, options.device, options.deviceColumn, options.timeColumn];
    return playIdentity(bytes.subarray(0, Math.min(bytesRead, 1024)), settings);
  } finally {
    await handle.close();
  }
}

function topicTemplate(template: string): (device: string) => string {
  if (/[+#]/.test(template) || template.includes('\0') || template === '') {
    throw new FleetcastError('CSV_INVALID', `${JSON.stringify(template)} is not a topic to publish to`);
  }
  // A device's name must not add levels or wildcards to the topic.
  return (device) => template.replaceAll('{device}', () => device.replaceAll(/[/+#]|\p{Cc}/gu, '_'));
}

/** Waits for the moment at which a row is due. */
class Pace {
  readonly #speed: number;
  readonly #now: () => number;
  readonly #signal: AbortSignal | undefined;
  #start: { readonly event: number; readonly real: number } | undefined;

  constructor(speed: number | 'max', now: () => number, signal: AbortSignal | undefined) {
    if (speed !== 'max' && !(speed > 0)) {
      throw new FleetcastError('CSV_INVALID', `the speed must be larger than 0, not ${speed}`);
    }
    this.#speed = speed === 'max' ? Number.POSITIVE_INFINITY : speed;
    this.#now = now;
    this.#signal = signal;
  }

  /** False where the signal came first. */
  async until(time: number): Promise<boolean> {
    if (this.#speed === Number.POSITIVE_INFINITY) return !(this.#signal?.aborted ?? false);
    this.#start ??= { event: time, real: this.#now() };
    const due = this.#start.real + (time - this.#start.event) / this.#speed;
    for (;;) {
      if (this.#signal?.aborted) return false;
      const wait = due - this.#now();
      if (wait < 2) return true;
      try {
        await delay(Math.min(wait, 1_000), undefined, this.#signal === undefined ? {} : { signal: this.#signal });
      } catch {
        return false;
      }
    }
  }
}

/** Writes the position now and then, one write at a time. */
class PositionKeeper {
  readonly #path: string;
  readonly #identity: string;
  readonly #done: DoneRows;
  #written = -1;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, identity: string, done: DoneRows) {
    this.#path = path;
    this.#identity = identity;
    this.#done = done;
  }

  save(): void {
    this.#writing = this.#writing.then(async () => {
      const rows = this.#done.rows;
      if (rows === this.#written) return;
      await writePosition(this.#path, this.#identity, rows);
      this.#written = rows;
    });
    this.#writing.catch(() => {});
  }

  /** @throws CSV_INVALID where the position could not be written. */
  async settled(): Promise<void> {
    try {
      await this.#writing;
    } catch (cause) {
      throw new FleetcastError('CSV_INVALID', `cannot write the position file: ${messageOf(cause)}`, { cause });
    }
  }
}
