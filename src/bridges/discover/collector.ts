/** One message as it was heard. */
export interface Sample {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly arrival: number;
  readonly retained: boolean;
}

export interface CollectorLimits {
  readonly maxMessages: number;
  readonly maxTopics: number;
  readonly maxPerTopic: number;
  readonly maxBytes: number;
}

const DEFAULTS: CollectorLimits = {
  maxMessages: 50_000,
  maxTopics: 10_000,
  maxPerTopic: 200,
  maxBytes: 64 * 1024 * 1024,
};

/** Keeps enough of what a broker says to understand it, within bounds whatever the broker has. */
export class Collector {
  readonly samples: Sample[] = [];
  /** Messages heard, kept or not. */
  heard = 0;
  #bytes = 0;
  readonly #perTopic = new Map<string, number>();
  readonly #limits: CollectorLimits;

  constructor(limits: Partial<CollectorLimits> = {}) {
    this.#limits = { ...DEFAULTS, ...limits };
  }

  get topics(): number {
    return this.#perTopic.size;
  }

  /** @returns false when nothing more can be kept. */
  add(sample: Sample): boolean {
    const { maxMessages, maxTopics, maxPerTopic, maxBytes } = this.#limits;
    this.heard++;
    const before = this.#perTopic.get(sample.topic);
    const size = sample.payload.length + sample.topic.length;
    if (this.samples.length >= maxMessages || this.#bytes + size > maxBytes) return false;
    if (before === undefined ? this.#perTopic.size >= maxTopics : before >= maxPerTopic) return true;
    // A topic with an empty payload clears a retained message: it says nothing.
    if (sample.payload.length === 0) return true;
    this.#perTopic.set(sample.topic, (before ?? 0) + 1);
    this.#bytes += size;
    this.samples.push(sample);
    return true;
  }
}
