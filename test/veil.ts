import type { EventLog } from '../src/log/event-log.ts';

/** A topic as Kafka shows it while a transaction is open from an offset on. */
export class Veil {
  from = Number.POSITIVE_INFINITY;
  readonly log: EventLog;
  /** Says that all is there although it is not. */
  lies = false;

  constructor(log: EventLog, veiled: string) {
    const end = async (topic: string, partition: number) => {
      const found = await log.offsets(topic, partition);
      return topic === veiled ? { ...found, end: Math.min(found.end, this.from) } : found;
    };
    const over: Partial<EventLog> = {
      offsets: end,
      written: async (topic, partition) =>
        this.lies ? (await end(topic, partition)).end : log.written(topic, partition),
      read: async (topic, partition, offset, options) => {
        const batch = await log.read(topic, partition, offset, options);
        if (topic !== veiled) return batch;
        const { from } = this;
        const records = batch.records.filter((record) => record.offset < from);
        // A reader at the end waits; one that never did would keep everything else from running.
        if (records.length === 0) await new Promise((resolve) => setTimeout(resolve, options?.waitMs ?? 0));
        return {
          records,
          nextOffset: Math.min(batch.nextOffset, from),
          endOffset: Math.min(batch.endOffset, from),
        };
      },
    };
    this.log = new Proxy<EventLog>(log, {
      get(target, name) {
        const value = over[name as keyof EventLog] ?? Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }
}
