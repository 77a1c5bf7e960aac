import type {
  EventLog,
  GroupMember,
  GroupOptions,
  LogRecord,
  OutRecord,
  PartitionOffsets,
  ReadBatch,
  ReadOptions,
  TaskWriter,
  TopicSpec,
} from '../event-log.ts';
import type { WireFormat } from './wire-format.ts';

/** A log whose values are on the wire in another format than inside. */
export class FormattedLog implements EventLog {
  readonly #log: EventLog;
  readonly #format: WireFormat;
  /** The last append that had to wait for a preparation: later ones queue behind it, so that calls keep their order. */
  #gate: Promise<unknown> | undefined;

  constructor(log: EventLog, format: WireFormat) {
    this.#log = log;
    this.#format = format;
  }

  get kind(): EventLog['kind'] {
    return this.#log.kind;
  }

  get maxRecordBytes(): number {
    return this.#log.maxRecordBytes ?? Number.POSITIVE_INFINITY;
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    await this.#log.ensureTopics(specs);
    await this.#format.announce(specs.map(({ name }) => name));
  }

  topic(name: string): Promise<TopicSpec | undefined> {
    return this.#log.topic(name);
  }

  topics(): Promise<readonly TopicSpec[]> {
    return this.#log.topics();
  }

  append(records: readonly OutRecord[]): Promise<readonly number[]> {
    return this.#inOrder(records, (written) => this.#log.append(written));
  }

  appendAtomically(records: readonly OutRecord[]): Promise<readonly number[]> {
    return this.#inOrder(records, (written) => this.#log.appendAtomically(written));
  }

  async read(topic: string, partition: number, offset: number, options?: ReadOptions): Promise<ReadBatch> {
    const batch = await this.#log.read(topic, partition, offset, options);
    let records: LogRecord[] | undefined;
    for (let i = 0; i < batch.records.length; i++) {
      const record = batch.records[i]!;
      if (record.value === null) continue;
      let value = this.#format.read(topic, record.value);
      if (value === undefined) {
        await this.#format.prepareRead(topic, record.value);
        value = this.#format.read(topic, record.value) ?? record.value;
      }
      if (value === record.value) continue;
      records ??= [...batch.records];
      records[i] = { ...record, value };
    }
    return records === undefined ? batch : { ...batch, records };
  }

  offsets(topic: string, partition: number): Promise<PartitionOffsets> {
    return this.#log.offsets(topic, partition);
  }

  written(topic: string, partition: number): Promise<number> {
    return this.#log.written(topic, partition);
  }

  offsetForTime(topic: string, partition: number, timestamp: number): Promise<number> {
    return this.#log.offsetForTime(topic, partition, timestamp);
  }

  deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    return this.#log.deleteRecords(topic, partition, before);
  }

  async join(options: GroupOptions): Promise<GroupMember> {
    const member = await this.#log.join(options);
    return {
      memberId: member.memberId,
      assignment: () => member.assignment(),
      settled: () => member.settled(),
      openWriter: async (partition, writes) => this.#writer(await member.openWriter(partition, writes)),
      leave: () => member.leave(),
    };
  }

  committed(group: string): Promise<ReadonlyMap<string, number>> {
    return this.#log.committed(group);
  }

  deleteGroup(group: string): Promise<void> {
    return this.#log.deleteGroup(group);
  }

  trouble(): string | undefined {
    return this.#log.trouble?.();
  }

  maintain(): Promise<void> {
    return this.#log.maintain();
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  #writer(writer: TaskWriter): TaskWriter {
    return {
      partition: writer.partition,
      committed: () => writer.committed(),
      commit: (records, inputOffsets) => this.#inOrder(records, (written) => writer.commit(written, inputOffsets)),
      close: () => writer.close(),
    };
  }

  /** Hands the records on in the order of the calls; at once where nothing has to be prepared. */
  #inOrder(
    records: readonly OutRecord[],
    send: (written: readonly OutRecord[]) => Promise<readonly number[]>,
  ): Promise<readonly number[]> {
    const written = this.#gate === undefined ? this.#writtenNow(records) : undefined;
    if (written !== undefined) return send(written);
    const turn = (this.#gate ?? Promise.resolve())
      .catch(() => {})
      .then(async () => {
        const prepared = this.#writtenNow(records) ?? (await this.#prepared(records));
        // Not awaited here: what comes behind may go on as soon as this has been handed over.
        return { sent: send(prepared) };
      });
    this.#gate = turn;
    const settled = () => {
      if (this.#gate === turn) this.#gate = undefined;
    };
    turn.then(settled, settled);
    return turn.then(({ sent }) => sent);
  }

  #writtenNow(records: readonly OutRecord[]): readonly OutRecord[] | undefined {
    let written: OutRecord[] | undefined;
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      if (record.value === null) continue;
      const value = this.#format.write(record.topic, record.value);
      if (value === undefined) return undefined;
      if (value === record.value) continue;
      written ??= [...records];
      written[i] = { ...record, value };
    }
    return written ?? records;
  }

  async #prepared(records: readonly OutRecord[]): Promise<readonly OutRecord[]> {
    for (const { topic, value } of records) {
      if (value !== null && this.#format.write(topic, value) === undefined) {
        await this.#format.prepareWrite(topic, value);
      }
    }
    return this.#writtenNow(records) ?? records;
  }
}
