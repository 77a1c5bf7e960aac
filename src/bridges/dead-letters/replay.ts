import { FleetcastError } from '../../errors.ts';
import { decodeRecord, encodeRecord } from '../../events/codec.ts';
import type { DeadLetter } from '../../events/records.ts';
import type { EventLog, OutRecord } from '../../log/event-log.ts';
import { partitionFor } from '../../log/partitioner.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { restoreMemory } from '../mqtt/memory.ts';
import { fingerprint, RecordMaker } from '../mqtt/record-maker.ts';
import { coverOf, DoneLetters, type Selection } from './done.ts';

export interface ReplayOptions {
  readonly log: EventLog;
  /** A new one: it is given what the bridge remembers (Sparkplug's aliases), as after a restart of the bridge. */
  readonly mapping: Mapping;
  /** `memory`: that of the bridge, compacted. */
  readonly topics: { readonly readings: string; readonly deadLetters: string; readonly memory: string };
  readonly now: () => number;
  /** Only letters with one of these reasons. */
  readonly reasons?: readonly string[];
  /** Only letters whose MQTT topic matches this filter. */
  readonly mqttTopic?: string;
  /** Begins at the oldest letter, also where an earlier replay has been there. Default false. */
  readonly all?: boolean;
  /** Changes nothing, and says what would come of it. Default false. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface ReplayResult {
  /** Letters that were looked at: none that an earlier replay has put through. */
  readonly letters: number;
  /** Letters of messages that the mapping now understands. */
  readonly mended: number;
  /** Letters of readings that an operator has turned away: it judges them again, and may turn them away again. */
  readonly again: number;
  /** Readings from both. */
  readonly readings: number;
  /** Letters that are still bad, by reason; they stay where they are, and the next replay tries them again. */
  readonly stillBad: Readonly<Record<string, number>>;
  /** Of those, the ones that only a replay of `all` tries again: there are too many to remember. */
  readonly forgotten: number;
  /** Letters that the options leave out, or that do not hold what came in. */
  readonly skipped: number;
  /** Letters that hold only the beginning of what came in: a beginning may say something else than the whole. */
  readonly cut: number;
}

/** Group under which the log remembers how far replays have come. */
const GROUP = 'fleetcast-dead-letter-replay';

/**
 * Puts dead letters through the mapping again, after it was mended. Readings get their old arrival as the time where
 * the device has no clock, and count as redelivered under a fingerprint that the arrival is in: the same letter put
 * through again is not taken twice, nor are several letters of one message; two messages that say the same are two.
 *
 * Readings and the position are committed together, also that of a selection by `reasons` or `mqttTopic`: every letter
 * is put through once, whatever fails in between and however it was chosen, until `all` asks for another round.
 *
 * @throws LOG_TOPIC_UNKNOWN where a topic is missing, CONFIG_INVALID for a filter that is none.
 */
export async function replayDeadLetters(options: ReplayOptions): Promise<ReplayResult> {
  const { log, topics } = options;
  const readings = await log.topic(topics.readings);
  const letters = await log.topic(topics.deadLetters);
  for (const [name, spec] of [
    [topics.readings, readings],
    [topics.deadLetters, letters],
  ] as const) {
    if (spec === undefined) throw new FleetcastError('LOG_TOPIC_UNKNOWN', `there is no topic ${name}`);
  }
  const memory = await log.topic(topics.memory);
  if (memory === undefined) throw new FleetcastError('LOG_TOPIC_UNKNOWN', `there is no topic ${topics.memory}`);
  if (options.mapping.remembers) await restoreMemory(log, memory, options.mapping);
  const replay = new Replay(options, readings!.partitions);
  const partitions = Array.from({ length: letters!.partitions }, (_, partition) => partition);
  const doneIn = async (partition: number): Promise<DoneLetters> => {
    const done = new DoneLetters(topics.deadLetters, partition);
    await done.read(log, topics.memory);
    if (options.all === true) done.beginAgain(selectionOf(options));
    return done;
  };
  if (options.dryRun === true) {
    const committed = options.all === true ? new Map<string, number>() : await log.committed(GROUP);
    for (const partition of partitions) {
      const whole = committed.get(`${topics.deadLetters}/${partition}`) ?? 0;
      await replay.run(partition, whole, await doneIn(partition), async () => {});
    }
    return replay.result();
  }
  const member = await log.join({
    group: GROUP,
    topics: [topics.deadLetters],
    memberId: `replay-${process.pid}`,
    onAssigned: () => {},
    onRevoked: () => {},
  });
  try {
    await assigned(() => member.assignment().length === partitions.length, options.signal);
    for (const partition of partitions) {
      const writer = await member.openWriter(partition);
      const whole = (await writer.committed()).get(topics.deadLetters) ?? 0;
      const done = await doneIn(partition);
      const selection = selectionOf(options);
      const all = options.all === true;
      await replay.run(partition, all ? 0 : whole, done, async (records, next) => {
        const position = selection !== undefined ? whole : all ? next : Math.max(whole, next);
        const memory = done.record(topics.memory, selection, next, position, options.now());
        await writer.commit([...records, memory], new Map([[topics.deadLetters, position]]));
      });
      await writer.close();
    }
  } finally {
    await member.leave();
  }
  return replay.result();
}

/** Undefined for all letters. */
function selectionOf({ reasons, mqttTopic }: ReplayOptions): Selection | undefined {
  if (reasons === undefined && mqttTopic === undefined) return undefined;
  return {
    ...(reasons === undefined ? {} : { reasons: [...reasons].sort() }),
    ...(mqttTopic === undefined ? {} : { mqttTopic }),
  };
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #maker: RecordMaker;
  readonly #partitions: number;
  readonly #wanted: (letter: DeadLetter) => boolean;
  #letters = 0;
  #mended = 0;
  #givenAgain = 0;
  #readings = 0;
  #skipped = 0;
  #cut = 0;
  /** Letters that gave nothing. */
  #bad = 0;
  #forgotten = 0;
  readonly #stillBad: Record<string, number> = {};

  constructor(options: ReplayOptions, partitions: number) {
    this.#options = options;
    this.#partitions = partitions;
    const { topics, mapping } = options;
    this.#wanted = coverOf(options);
    // What is still bad is counted here and not written again: it is on the topic already.
    this.#maker = new RecordMaker(
      { ...mapping, policy: () => 'drop' },
      { readings: { name: topics.readings, partitions }, deadLetters: { name: topics.deadLetters, partitions: 1 } },
      0,
    );
  }

  /** @param whole how far replays of all letters have come: before it only open letters are tried */
  async run(
    partition: number,
    whole: number,
    done: DoneLetters,
    write: (records: readonly OutRecord[], next: number) => Promise<void>,
  ): Promise<void> {
    const { log, topics, signal } = this.#options;
    const { earliest, end } = await log.offsets(topics.deadLetters, partition);
    done.open.deleteBefore(earliest);
    const goOn = (offset: number): number =>
      offset < whole ? Math.min(done.open.from(offset) ?? whole, whole) : offset;
    for (let offset = Math.max(goOn(0), earliest); offset < end && signal?.aborted !== true; ) {
      const batch = await log.read(topics.deadLetters, partition, offset, { maxRecords: 500, maxBytes: 4_000_000 });
      const records: OutRecord[] = [];
      for (const { value, offset: at } of batch.records) {
        const letter = value === null ? undefined : decodeRecord(value);
        if (letter?.type !== 'DeadLetter' || done.has(letter, at, whole)) continue;
        const bad = this.#bad;
        records.push(...this.#again(letter, at));
        if (this.#bad > bad) done.open.add(at);
        else if (this.#wanted(letter)) done.open.delete(at);
      }
      if (batch.nextOffset === offset) break;
      offset = goOn(batch.nextOffset);
      await write(records, batch.nextOffset);
    }
    this.#forgotten += done.open.forgotten;
  }

  #again(letter: DeadLetter, offset: number): readonly OutRecord[] {
    this.#letters++;
    if (!this.#wanted(letter)) {
      this.#skipped++;
      return [];
    }
    if (isCut(letter)) {
      this.#cut++;
      return [];
    }
    const isMessage = letter.origin === 'mqtt';
    const records = isMessage ? this.#message(letter) : this.#reading(letter, offset, this.#options.now());
    if (records === undefined) {
      this.#skipped++;
      return [];
    }
    if (isMessage && records.length > 0) this.#mended++;
    else if (isMessage) this.#bad++;
    if (!isMessage) this.#givenAgain++;
    this.#readings += records.length;
    return records;
  }

  /** A message as it came from the broker. */
  #message(letter: DeadLetter): readonly OutRecord[] {
    const before = new Map(this.#maker.dropped);
    const message = { topic: letter.mqttTopic, payload: letter.payload, retained: false, duplicate: true };
    // The letters of one message agree in their time, messages that say the same do not.
    const print = fingerprint({ topic: `${letter.mqttTopic}@${letter.time}`, payload: letter.payload }, 0);
    const records = this.#maker.make(message, letter.time, print);
    let nothing = false;
    for (const [reason, count] of this.#maker.dropped) {
      const more = count - (before.get(reason) ?? 0);
      if (more > 0) this.#stillBad[reason] = (this.#stillBad[reason] ?? 0) + 1;
      // What could be read then is on the log, and the rest cannot be read today either.
      if (more > 0 && reason === 'partly-read' && letter.reason === reason) nothing = true;
    }
    // Nobody waits for an answer to what came long ago.
    this.#maker.takeCommands();
    if (nothing) return [];
    const ingest = this.#options.now();
    return records.map((record) => ({ ...record, timestamp: ingest }));
  }

  /** A reading that an operator has turned away: it is judged again, by the rules of today. */
  #reading(letter: DeadLetter, offset: number, ingest: number): readonly OutRecord[] | undefined {
    let reading: ReturnType<typeof decodeRecord>;
    try {
      reading = decodeRecord(letter.payload);
    } catch {
      return undefined;
    }
    if (reading.type !== 'Reading') return undefined;
    const key = Buffer.from(reading.device);
    return [
      {
        topic: this.#options.topics.readings,
        partition: partitionFor(key, this.#partitions),
        timestamp: ingest,
        key,
        // Under a fingerprint of its own: the operator has seen the old one, and would take it for a redelivery.
        value: encodeRecord({
          ...reading,
          redelivered: true,
          fingerprint: fingerprint({ topic: reading.device, payload: letter.payload }, placeOf(offset)),
        }),
      },
    ];
  }

  result(): ReplayResult {
    return {
      letters: this.#letters,
      mended: this.#mended,
      again: this.#givenAgain,
      readings: this.#readings,
      stillBad: { ...this.#stillBad },
      forgotten: this.#forgotten,
      skipped: this.#skipped,
      cut: this.#cut,
    };
  }
}

/** Letters from before there was `cutFrom` say it in their message only. */
function isCut({ cutFrom = 0, message }: DeadLetter): boolean {
  return (
    cutFrom > 0 || /; (only the first \d+ of \d+ bytes are kept|the log took only the first \d+ bytes)$/.test(message)
  );
}

/** In place of a packet identifier: letters that say the same stand in one partition, at different offsets. */
function placeOf(offset: number): number {
  return (offset % 0xffff) + 1;
}

async function assigned(done: () => boolean, signal: AbortSignal | undefined): Promise<void> {
  for (let waited = 0; !done(); waited += 10) {
    if (signal?.aborted) return;
    if (waited > 30_000) throw new FleetcastError('LOG_UNAVAILABLE', 'another replay is under way');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
