import { messageOf } from '../../errors.ts';
import type { ReadBatch, ReadOptions } from '../event-log.ts';
import { readLimits } from '../read-limits.ts';
import { Waiters } from '../waiters.ts';
import { Feed } from './feed.ts';
import { CODE, isPassing, KafkaError, translate } from './kafka-errors.ts';
import { fetch } from './produce-fetch.ts';
import { decodeBatches } from './record-batch.ts';
import { leaderOf } from './sender.ts';
import { knowTopics, type Wire, type WireCluster } from './wire.ts';

const LONG_POLL_MS = 250;
const PARTITION_BYTES = 2 * 2 ** 20;
const REQUEST_BYTES = 16 * 2 ** 20;
/** A feed that nobody has read for so long is not fetched ahead; after ten times as long it is forgotten. */
const IDLE_MS = 3000;
const FEEDS_A_PARTITION = 4;
const PAUSE_MS = 100;
/** Failures count as trouble after so long, of feeds that were read in the last while. */
const TROUBLE_MS = 2000;
const TROUBLE_USED_MS = 60_000;

/**
 * Reads committed records, ahead of the readers. Each broker has one loop with one long poll for all hungry feeds; a
 * feed whose reader falls behind is left out (paused) until there is room again. Nothing here depends on groups or
 * heartbeats: a feed begins where its reader asks.
 */
export class Fetcher {
  readonly #wire: Wire;
  /** Long polls hold up their connection: a first look at a partition goes over another. */
  readonly #polls: WireCluster;
  readonly #looks: WireCluster;
  readonly #retryMs: number;
  readonly #feeds = new Map<string, Feed[]>();
  readonly #loops = new Map<number, Waiters>();
  /** Loops that have not ended yet, and looks under way. */
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(wire: Wire, retryMs: number) {
    this.#wire = wire;
    this.#polls = wire.cluster();
    this.#looks = wire.cluster();
    this.#retryMs = retryMs;
  }

  /** @throws LOG_OFFSET_OUT_OF_RANGE, LOG_TOPIC_UNKNOWN, LOG_UNAVAILABLE. */
  async read(topic: string, partition: number, offset: number, options: ReadOptions): Promise<ReadBatch> {
    const feed = this.#feed(topic, partition, offset);
    const limits = readLimits(options);
    const deadline = performance.now() + (options.waitMs ?? 0);
    feed.usedAt = performance.now();
    if (feed.empty && !feed.fetching) await this.#track(this.#look(feed));
    for (;;) {
      feed.usedAt = performance.now();
      if (feed.at !== offset) {
        // Another reader at the same place has taken the records of this feed.
        return this.read(topic, partition, offset, { ...options, waitMs: Math.max(0, deadline - feed.usedAt) });
      }
      if (!feed.empty) {
        const batch = feed.take(limits.records, limits.bytes);
        this.#keepPolling(feed);
        return batch;
      }
      this.#throwFailure(feed);
      const left = deadline - performance.now();
      if (left <= 0 || options.signal?.aborted === true || this.#closed) return feed.take(1, 1);
      this.#keepPolling(feed);
      // Idle feeds drop out of the polls: come back before that.
      await feed.waiters.wait(Math.min(left, IDLE_MS / 2), options.signal);
    }
  }

  /** What has kept partitions that are being read from being fetched, for longer than an election takes. */
  trouble(): string | undefined {
    const now = performance.now();
    for (const feeds of this.#feeds.values()) {
      for (const { trouble, usedAt, topic, partition } of feeds) {
        if (trouble === undefined || now - usedAt > TROUBLE_USED_MS || now - trouble.since < TROUBLE_MS) continue;
        const seconds = Math.round((now - trouble.since) / 1000);
        return `${topic}/${partition} has not been readable for ${seconds} s: ${messageOf(trouble.error)}`;
      }
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const feeds of this.#feeds.values()) for (const feed of feeds) feed.waiters.wake();
    for (const loop of this.#loops.values()) loop.wake();
    await Promise.all([this.#wire.release(this.#polls), this.#wire.release(this.#looks)]);
    // What was under way may have connected again after the release.
    await Promise.allSettled(this.#running);
    await Promise.all([this.#wire.release(this.#polls), this.#wire.release(this.#looks)]);
  }

  #feed(topic: string, partition: number, offset: number): Feed {
    const name = `${topic}/${partition}`;
    let feeds = this.#feeds.get(name);
    if (feeds === undefined) {
      feeds = [];
      this.#feeds.set(name, feeds);
    }
    let feed = feeds.find((each) => each.at === offset);
    if (feed === undefined) {
      feed = new Feed(topic, partition, offset);
      feeds.push(feed);
      const oldest = performance.now() - IDLE_MS * 10;
      const kept = feeds.filter((each) => each.usedAt > oldest).slice(-FEEDS_A_PARTITION);
      this.#feeds.set(name, kept);
    }
    return feed;
  }

  /** One fetch that does not wait, on until there are records or the end is reached. */
  async #look(feed: Feed): Promise<void> {
    feed.fetching = true;
    const deadline = performance.now() + this.#retryMs;
    try {
      for (let pause = 5; ; pause = Math.min(500, pause * 2)) {
        try {
          const before = feed.position;
          await knowTopics(this.#looks, [feed.topic]);
          await this.#fetch(this.#looks, leaderOf(this.#looks, feed.topic, feed.partition), [feed], 0);
          if (feed.failure !== undefined) throw feed.failure.error;
          if (!feed.empty || feed.position === before) return;
        } catch (error) {
          this.#note(feed, error);
          if (!isPassing(error) || performance.now() + pause > deadline || this.#closed) {
            throw translate(error, `${feed.topic}/${feed.partition}`);
          }
          feed.failure = undefined;
          await new Promise((resolve) => setTimeout(resolve, pause));
          await this.#looks.refreshMetadata().catch(() => {});
        }
      }
    } finally {
      feed.fetching = false;
      feed.waiters.wake();
    }
  }

  #throwFailure(feed: Feed): void {
    const { failure } = feed;
    if (failure === undefined) return;
    if (isPassing(failure.error) && performance.now() - failure.since < this.#retryMs) return;
    feed.failure = undefined;
    throw translate(failure.error, `${feed.topic}/${feed.partition}`);
  }

  /** Makes sure that the loop of the feed's broker knows of it. */
  #keepPolling(feed: Feed): void {
    if (this.#closed || !feed.hungry) return;
    let leader: number;
    try {
      leader = leaderOf(this.#looks, feed.topic, feed.partition);
    } catch {
      leader = -1;
    }
    const loop = this.#loops.get(leader);
    if (loop !== undefined) {
      loop.wake();
      return;
    }
    const waiters = new Waiters();
    this.#loops.set(leader, waiters);
    void this.#track(this.#loop(leader, waiters));
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const settled = work.catch(() => {}).finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    return work;
  }

  async #loop(leader: number, waiters: Waiters): Promise<void> {
    while (!this.#closed) {
      const feeds = this.#hungry(leader);
      if (feeds.length === 0) {
        await waiters.wait(IDLE_MS);
        if (this.#hungry(leader).length > 0) continue;
        // Nothing to do for so long: end; the next reader begins a new loop.
        if (this.#loops.get(leader) === waiters) this.#loops.delete(leader);
        return;
      }
      for (const feed of feeds) feed.fetching = true;
      try {
        await knowTopics(this.#polls, [...new Set(feeds.map((feed) => feed.topic))]);
        if (leader < 0) throw new Error('no leader is known');
        await this.#fetch(this.#polls, leader, feeds, LONG_POLL_MS);
      } catch (error) {
        for (const feed of feeds) this.#fail(feed, error);
      }
      for (const feed of feeds) feed.fetching = false;
      if (feeds.some((feed) => feed.failure !== undefined)) {
        for (const feed of feeds) feed.waiters.wake();
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
        await Promise.all([this.#polls, this.#looks].map((cluster) => cluster.refreshMetadata().catch(() => {})));
      }
    }
  }

  #hungry(leader: number): Feed[] {
    const recent = performance.now() - IDLE_MS;
    const result: Feed[] = [];
    for (const feeds of this.#feeds.values()) {
      // One fetch holds a partition once: the feed that was read last comes first.
      const hungry = feeds.filter((feed) => feed.hungry && (feed.usedAt > recent || feed.waiters.size > 0));
      const [first] = hungry.sort((a, b) => b.waiters.size - a.waiters.size || b.usedAt - a.usedAt);
      if (first === undefined) continue;
      let own: number;
      try {
        own = leaderOf(this.#looks, first.topic, first.partition);
      } catch {
        own = -1;
      }
      if (own === leader) result.push(first);
    }
    return result;
  }

  async #fetch(cluster: WireCluster, leader: number, feeds: readonly Feed[], maxWaitMs: number): Promise<void> {
    const broker = await cluster.findBroker({ nodeId: String(leader) });
    const parts = feeds.map((feed) => ({
      topic: feed.topic,
      partition: feed.partition,
      offset: feed.position,
      maxBytes: PARTITION_BYTES,
    }));
    const results = await fetch(broker, parts, maxWaitMs, REQUEST_BYTES);
    for (const [i, part] of parts.entries()) {
      const feed = feeds[i]!;
      const found = results.find((each) => each.topic === part.topic && each.partition === part.partition);
      const where = `${part.topic}/${part.partition}`;
      if (found === undefined) continue;
      if (found.errorCode !== 0) {
        this.#fail(feed, new KafkaError(found.errorCode, where));
        continue;
      }
      try {
        feed.accept(part.offset, decodeBatches(found.batches, part.offset, found.aborted, where), found.stableEnd);
      } catch (error) {
        this.#fail(feed, error);
      }
    }
  }

  #note(feed: Feed, error: unknown): void {
    feed.trouble = { error, since: feed.trouble?.since ?? performance.now() };
  }

  #fail(feed: Feed, error: unknown): void {
    this.#note(feed, error);
    feed.failure = { error, since: feed.failure?.since ?? performance.now() };
    // The reader has to know of a cut log at once, not when it gets there.
    if ((error as KafkaError).code === CODE.OFFSET_OUT_OF_RANGE) feed.waiters.wake();
  }
}
