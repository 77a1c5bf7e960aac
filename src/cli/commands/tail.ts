import type { Command } from 'commander';
import { FleetcastError } from '../../errors.ts';
import { decodeRecord, schemaOf } from '../../events/codec.ts';
import type { DeadLetter } from '../../events/records.ts';
import { SCHEMA_NAMES } from '../../events/schema-registry.ts';
import type { EventLog, LogRecord, TopicSpec } from '../../log/event-log.ts';
import { closest } from '../../service/configuration/suggestion.ts';
import { openExistingLog } from '../../service/open-log.ts';
import { CONFIG_HELP, type ConfigOption, configured } from '../configured.ts';
import { time, whole } from '../options.ts';
import { recordLine } from '../record-line.ts';
import type { Terminal } from '../terminal.ts';

interface Options extends ConfigOption {
  readonly from?: number;
  readonly fromTime?: number;
  readonly fromStart?: boolean;
  readonly last?: number;
  readonly limit?: number;
  readonly partition?: number;
  readonly follow?: boolean;
  readonly type?: string;
  readonly key?: string;
}

export function addTail(program: Command, terminal: Terminal): void {
  program
    .command('tail')
    .description('Show the records of a topic, decoded, one JSON object a line.')
    .argument('<topic>', 'its name, with or without the prefix')
    .option('--config <file>', CONFIG_HELP)
    .option('--last <n>', 'the last so many records (default: 10)', whole(0))
    .option('--from <offset>', 'from this offset of each partition', whole(0))
    .option('--from-time <time>', 'from this time of the records, such as 2026-01-31T12:00', time)
    .option('--from-start', 'from the oldest record that is left')
    .option('--type <name>', 'only records of this type, such as Reading: without the ticks')
    .option(
      '--key <text>',
      'only records with this key: a device; on dead-letters also the MQTT topic, or where it came from on the log',
    )
    .option('-f, --follow', 'go on with what comes')
    .option('--limit <n>', 'end after so many records', whole(1))
    .option('--partition <n>', 'of this partition only', whole(0))
    .action(async (topic: string, options: Options) => {
      const configuration = configured(options);
      const log = await openExistingLog(configuration);
      try {
        const spec = await topicOf(log, topic, configuration.topics.prefix);
        await tail(log, spec, options, terminal);
      } finally {
        await log.close();
      }
    });
}

async function topicOf(log: EventLog, name: string, prefix: string): Promise<TopicSpec> {
  const found = (await log.topic(prefix + name)) ?? (await log.topic(name));
  if (found !== undefined) return found;
  const names = (await log.topics()).map((topic) => topic.name).sort();
  const near = closest(prefix + name, names);
  const hint = near === undefined ? `there are ${names.join(', ') || 'none yet'}` : `did you mean ${near}?`;
  throw new FleetcastError('LOG_TOPIC_UNKNOWN', `no topic ${name}: ${hint}`, { details: { topic: name } });
}

/** Records of all partitions in the order of their timestamps, as far as they are on the log; then as they come. */
async function tail(log: EventLog, spec: TopicSpec, options: Options, terminal: Terminal): Promise<void> {
  const partitions =
    options.partition === undefined ? Array.from({ length: spec.partitions }, (_, p) => p) : [options.partition];
  if (options.partition !== undefined && options.partition >= spec.partitions) {
    throw new FleetcastError('USAGE', `${spec.name} has the partitions 0 to ${spec.partitions - 1}`);
  }
  const cursors = await Promise.all(partitions.map((partition) => cursorOf(log, spec.name, partition, options)));
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  const wanted = filterOf(options);
  const show = (cursor: Cursor, record: LogRecord) => {
    terminal.out(recordLine(spec.name, cursor.partition, record));
    left -= 1;
  };
  const byLast = startOf(options) === 'last' ? (options.last ?? 10) : undefined;
  if (byLast !== undefined) {
    for (const [cursor, record] of await newest(log, spec.name, cursors, byLast, wanted)) {
      if (left > 0) show(cursor, record);
    }
  } else {
    for await (const [cursor, record] of merged(log, spec.name, cursors)) {
      if (wanted(record)) show(cursor, record);
      if (left <= 0 || terminal.signal.aborted) return;
    }
  }
  if (!options.follow) return;
  await Promise.all(
    cursors.map(async (cursor) => {
      while (left > 0 && !terminal.signal.aborted) {
        const batch = await log.read(spec.name, cursor.partition, cursor.next, {
          waitMs: 500,
          maxRecords: 500,
          signal: terminal.signal,
        });
        for (const record of batch.records) if (left > 0 && wanted(record)) show(cursor, record);
        cursor.next = batch.nextOffset;
      }
    }),
  );
}

type Filter = (record: LogRecord) => boolean;

/** @throws USAGE for a type that there is not */
function filterOf({ type, key }: Options): Filter {
  if (type !== undefined && !SCHEMA_NAMES.some((name) => name === type)) {
    const near = closest(type, SCHEMA_NAMES);
    throw new FleetcastError('USAGE', `no type ${type}: ${near ? `did you mean ${near}?` : SCHEMA_NAMES.join(', ')}`);
  }
  return (record) =>
    (type === undefined || (record.value !== null && schemaOf(record.value) === type)) &&
    (key === undefined || hasKey(record, key));
}

/** The key of a dead letter is where it came from: what people look for is the device in it. */
function hasKey({ key, value }: LogRecord, wanted: string): boolean {
  if (key !== null && Buffer.from(key).toString('utf8') === wanted) return true;
  if (value === null || schemaOf(value) !== 'DeadLetter') return false;
  return (decodeRecord(value) as DeadLetter).device === wanted;
}

/** The last `count` records that are wanted: from so far back in each partition as it takes to find them. */
async function newest(
  log: EventLog,
  topic: string,
  cursors: readonly Cursor[],
  count: number,
  wanted: Filter,
): Promise<(readonly [Cursor, LogRecord])[]> {
  for (let back = count; ; back = Math.max(1000, back * 8)) {
    for (const cursor of cursors) cursor.next = Math.max(cursor.earliest, cursor.end - back);
    const whole = cursors.every(({ next, earliest }) => next === earliest);
    const found: (readonly [Cursor, LogRecord])[] = [];
    for await (const each of merged(log, topic, cursors)) {
      if (!wanted(each[1])) continue;
      found.push(each);
      if (found.length > 2 * count) found.splice(0, found.length - count);
    }
    if (whole || found.length >= count) return found.slice(Math.max(0, found.length - count));
  }
}

interface Cursor {
  readonly partition: number;
  readonly earliest: number;
  next: number;
  /** Where the first pass ends. */
  readonly end: number;
}

function startOf(options: Options): 'from' | 'time' | 'start' | 'last' {
  const given = [options.from, options.fromTime, options.last].filter((each) => each !== undefined).length;
  if (given + (options.fromStart ? 1 : 0) > 1) {
    throw new FleetcastError('USAGE', 'only one of --from, --from-time, --from-start and --last');
  }
  if (options.from !== undefined) return 'from';
  if (options.fromTime !== undefined) return 'time';
  return options.fromStart ? 'start' : 'last';
}

async function cursorOf(log: EventLog, topic: string, partition: number, options: Options): Promise<Cursor> {
  const { earliest, end } = await log.offsets(topic, partition);
  const start = startOf(options);
  let next = earliest;
  if (start === 'last') next = Math.max(earliest, end - (options.last ?? 10));
  else if (start === 'time') next = await log.offsetForTime(topic, partition, options.fromTime!);
  else if (start === 'from') {
    if (options.from! < earliest && earliest > 0 && options.from !== 0) {
      throw new FleetcastError(
        'LOG_OFFSET_OUT_OF_RANGE',
        `${topic}/${partition} begins at offset ${earliest} and ends at ${end}`,
        { details: { topic, partition, earliest, end } },
      );
    }
    next = Math.min(Math.max(options.from!, earliest), end);
  }
  return { partition, earliest, next, end };
}

/** What lies between the cursors and their ends, by timestamp. */
async function* merged(
  log: EventLog,
  topic: string,
  cursors: readonly Cursor[],
): AsyncGenerator<readonly [Cursor, LogRecord]> {
  const queues = cursors.map((cursor) => ({ cursor, records: [] as LogRecord[], at: 0 }));
  const fill = async (queue: (typeof queues)[number]) => {
    const { cursor } = queue;
    while (queue.at >= queue.records.length && cursor.next < cursor.end) {
      const batch = await log.read(topic, cursor.partition, cursor.next, { maxRecords: 500 });
      queue.records = batch.records.filter((record) => record.offset < cursor.end);
      queue.at = 0;
      if (batch.nextOffset <= cursor.next) return;
      cursor.next = Math.min(batch.nextOffset, Math.max(cursor.end, cursor.next));
    }
  };
  for (;;) {
    await Promise.all(queues.map(fill));
    let first: (typeof queues)[number] | undefined;
    for (const queue of queues) {
      const record = queue.records[queue.at];
      if (record === undefined) continue;
      if (first === undefined || record.timestamp < first.records[first.at]!.timestamp) first = queue;
    }
    if (first === undefined) return;
    yield [first.cursor, first.records[first.at]!] as const;
    first.at += 1;
  }
}
