import kafkajs, { type Admin } from 'kafkajs';
import { FleetcastError } from '../../errors.ts';
import type { TopicSpec } from '../event-log.ts';
import { requireSameTopic } from '../topic-spec.ts';
import { CODE, codeOf, patiently } from './kafka-errors.ts';
import { DEFAULTS, type KafkaLogOptions } from './kafka-options.ts';
import type { Wire } from './wire.ts';

const UNLIMITED = '-1';
const TOPIC_ALREADY_EXISTS = 36;
const LARGEST = 'max.message.bytes';
const STAMPED = 'message.timestamp.type';

/** A topic of the broker, and its settings there. */
interface Found {
  readonly spec: TopicSpec;
  readonly config: ReadonlyMap<string, string>;
}

/** Topics as the broker has them, under our names. */
export class Topics {
  readonly #admin: Admin;
  readonly #options: KafkaLogOptions;
  #connected: Promise<void> | undefined;

  constructor(wire: Wire, options: KafkaLogOptions) {
    this.#admin = wire.admin();
    this.#options = options;
  }

  /**
   * What `ensure` would do, a line for each topic; nothing is done.
   * @throws LOG_TOPIC_MISMATCH as `ensure`.
   */
  async plan(specs: readonly TopicSpec[]): Promise<string[]> {
    const existing = await this.#existing(specs.map((spec) => spec.name));
    return specs.map((spec) => {
      const found = existing.get(spec.name);
      if (found !== undefined) this.#requireFit(found, spec);
      const name = this.real(spec.name);
      if (found !== undefined) return `topic ${name}: exists as wanted`;
      const config = this.#config(spec).map(({ name, value }) => `${name}=${value}`);
      const replicas = this.#options.replicationFactor ?? 'the default number of';
      return `topic ${name}: create with ${spec.partitions} partitions, ${replicas} replicas, ${config.join(', ')}`;
    });
  }

  /** @throws LOG_TOPIC_MISMATCH before anything is created. */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    const existing = await this.#existing(specs.map((spec) => spec.name));
    for (const spec of specs) {
      const found = existing.get(spec.name);
      if (found !== undefined) this.#requireFit(found, spec);
    }
    const missing = specs.filter((spec) => !existing.has(spec.name));
    if (missing.length === 0) return;
    await this.#patiently('creating topics', async () => {
      try {
        await this.#admin.createTopics({
          waitForLeaders: true,
          topics: missing.map((spec) => ({
            topic: this.real(spec.name),
            numPartitions: spec.partitions,
            replicationFactor: this.#options.replicationFactor ?? -1,
            configEntries: this.#config(spec),
          })),
        });
      } catch (error) {
        if (codeOf(error) !== TOPIC_ALREADY_EXISTS && !/TOPIC_ALREADY_EXISTS|already exists/i.test(String(error)))
          throw error;
      }
    });
    // Another process may have made them at the same moment, and differently; and brokers hear of them one by one.
    await this.#patiently('new topics', async () => {
      const now = await this.#existing(missing.map((spec) => spec.name));
      for (const spec of missing) {
        const found = now.get(spec.name);
        if (found === undefined) throw new Error(`topic ${spec.name} is not visible yet`);
        this.#requireFit(found, spec);
      }
    });
  }

  async find(name: string): Promise<TopicSpec | undefined> {
    return (await this.#existing([name])).get(name)?.spec;
  }

  async all(): Promise<readonly TopicSpec[]> {
    const names = await this.#names();
    return [...(await this.#existing(names)).values()].map(({ spec }) => spec);
  }

  /** Committed offsets of a group: `topic/partition` to offset, of topics under our prefix. */
  async committed(group: string): Promise<Map<string, number>> {
    const topics = await this.#patiently('committed offsets', () =>
      this.#admin.fetchOffsets({ groupId: this.real(group) }),
    );
    const result = new Map<string, number>();
    for (const { topic, partitions } of topics) {
      const name = this.ours(topic);
      if (name === undefined) continue;
      for (const { partition, offset } of partitions) {
        if (Number(offset) >= 0) result.set(`${name}/${partition}`, Number(offset));
      }
    }
    return result;
  }

  async deleteRecords(name: string, partition: number, before: number): Promise<void> {
    const topic = this.real(name);
    await this.#patiently(`${name}/${partition}`, async () => {
      // kafkajs looks for the leader before it has asked for one.
      await this.#admin.fetchTopicOffsets(topic);
      await this.#admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] });
    });
  }

  async deleteGroup(group: string): Promise<void> {
    await this.#patiently(`group ${group}`, async () => {
      try {
        await this.#admin.deleteGroups([this.real(group)]);
      } catch (error) {
        const failed = (error as { groups?: { errorCode: number }[] }).groups?.[0]?.errorCode ?? codeOf(error);
        if (failed === CODE.GROUP_ID_NOT_FOUND) return;
        if (failed !== CODE.NON_EMPTY_GROUP) throw error;
        throw new FleetcastError('LOG_GROUP_BUSY', `group ${group} has members`, { cause: error });
      }
    });
  }

  /** Name on the broker. */
  real(name: string): string {
    return `${this.#options.prefix ?? ''}${name}`;
  }

  /** Our name of a topic of the broker, or undefined for topics that are not under the prefix. */
  ours(real: string): string | undefined {
    const prefix = this.#options.prefix ?? '';
    return real.startsWith(prefix) && !real.startsWith('__') ? real.slice(prefix.length) : undefined;
  }

  async close(): Promise<void> {
    if (this.#connected !== undefined) await this.#admin.disconnect().catch(() => {});
  }

  async #names(): Promise<string[]> {
    const names = await this.#patiently('listing topics', () => this.#admin.listTopics());
    return names.flatMap((real) => this.ours(real) ?? []);
  }

  /** @throws LOG_TOPIC_MISMATCH naming topic and setting. */
  #requireFit({ spec, config }: Found, wanted: TopicSpec): void {
    requireSameTopic(spec, wanted);
    const needed = new Map(this.#config(wanted).map(({ name, value }) => [name, value]));
    const differs = (name: string, is: string, wayOut: string): never => {
      throw new FleetcastError('LOG_TOPIC_MISMATCH', `topic ${wanted.name}: ${name} is ${is}, ${wayOut}`, {
        details: { topic: wanted.name },
      });
    };
    const [largest, largestNeeded] = [Number(config.get(LARGEST)), Number(needed.get(LARGEST))];
    if (largest < largestNeeded) {
      const wayOut = `wanted at least ${largestNeeded} (set the topic's ${LARGEST}, or a smaller maxRecordBytes of the log)`;
      differs(LARGEST, String(largest), wayOut);
    }
    const stamped = config.get(STAMPED);
    if (stamped !== undefined && stamped !== needed.get(STAMPED)) {
      differs(
        STAMPED,
        stamped,
        `wanted ${needed.get(STAMPED)} (set it for the topic): records keep the times they are given`,
      );
    }
  }

  async #existing(wanted: readonly string[]): Promise<Map<string, Found>> {
    const present = new Set(await this.#names());
    const names = wanted.filter((name) => present.has(name));
    if (names.length === 0) return new Map();
    return this.#patiently('describing topics', async () => {
      const [{ topics }, { resources }] = await Promise.all([
        this.#admin.fetchTopicMetadata({ topics: names.map((name) => this.real(name)) }),
        this.#admin.describeConfigs({
          includeSynonyms: false,
          resources: names.map((name) => ({
            type: kafkajs.ConfigResourceTypes.TOPIC,
            name: this.real(name),
            configNames: ['cleanup.policy', 'retention.ms', 'retention.bytes', LARGEST, STAMPED],
          })),
        }),
      ]);
      const result = new Map<string, Found>();
      for (const name of names) {
        const metadata = topics.find((topic) => topic.name === this.real(name));
        const resource = resources.find((each) => each.resourceName === this.real(name));
        if (metadata === undefined || resource === undefined) continue;
        const config = new Map(resource.configEntries.map((entry) => [entry.configName, entry.configValue]));
        result.set(name, { spec: specOf(name, metadata.partitions.length, config), config });
      }
      return result;
    });
  }

  #config(spec: TopicSpec): { name: string; value: string }[] {
    const config = new Map<string, string>([
      ['cleanup.policy', spec.cleanup],
      // Records keep the timestamps that they are given.
      [STAMPED, 'CreateTime'],
      [LARGEST, String((this.#options.maxRecordBytes ?? DEFAULTS.maxRecordBytes) + 1024)],
    ]);
    if (spec.cleanup === 'delete') {
      config.set('retention.ms', spec.retentionMs === undefined ? UNLIMITED : String(spec.retentionMs));
      config.set('retention.bytes', spec.retentionBytes === undefined ? UNLIMITED : String(spec.retentionBytes));
    }
    for (const [name, value] of Object.entries(this.#options.topicConfig ?? {})) config.set(name, value);
    return [...config].map(([name, value]) => ({ name, value }));
  }

  async #patiently<T>(where: string, attempt: () => Promise<T>): Promise<T> {
    return patiently({ where, retryMs: this.#options.retryMs ?? DEFAULTS.retryMs }, async () => {
      this.#connected ??= this.#admin.connect();
      try {
        await this.#connected;
      } catch (error) {
        this.#connected = undefined;
        throw error;
      }
      return attempt();
    });
  }
}

function specOf(name: string, partitions: number, config: ReadonlyMap<string, string>): TopicSpec {
  const policy = config.get('cleanup.policy') ?? 'delete';
  if (policy.trim() === 'compact') return { name, partitions, cleanup: 'compact' };
  const limit = (key: string) => {
    const value = config.get(key);
    return value === undefined || Number(value) < 0 ? undefined : Number(value);
  };
  const retentionMs = limit('retention.ms');
  const retentionBytes = limit('retention.bytes');
  return {
    name,
    partitions,
    // With compact,delete the newest record of a key goes as well when it is old.
    cleanup: policy.includes('compact') ? 'compact' : 'delete',
    ...(retentionMs === undefined ? {} : { retentionMs }),
    ...(retentionBytes === undefined ? {} : { retentionBytes }),
  };
}
