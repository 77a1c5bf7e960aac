import { FleetcastError } from '../../src/errors.ts';
import type {
  EventLog,
  GroupMember,
  GroupOptions,
  OutRecord,
  PartitionOffsets,
  ReadBatch,
  ReadOptions,
  TaskWriter,
} from '../../src/log/event-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import type { Process, Scheduler } from './scheduler.ts';

/** Probabilities of faults, each call. */
export interface Faults {
  lostRequest: number;
  lostResponse: number;
  /** Of a commit, that it is long on its way, and its partition goes to another member meanwhile: the hour of zombies. */
  overtaken: number;
}

/** Rules of the log that a run may break on purpose, to see that the simulation notices. */
export interface LogDefects {
  readonly noFencing?: boolean;
}

interface Member {
  readonly process: Process;
  readonly options: GroupOptions;
  /** Callbacks run one after the other. */
  callbacks: Promise<void>;
}

interface Group {
  readonly partitions: number;
  readonly owners: (Member | undefined)[];
  readonly epochs: number[];
  readonly committed: Map<string, number>;
  readonly members: Set<Member>;
}

/** The broker of the simulation: one memory log behind messages that are late, lost, or answered to nobody. */
export class SimBroker {
  readonly log: MemoryLog;
  readonly faults: Faults = { lostRequest: 0, lostResponse: 0, overtaken: 0 };
  /** What must never happen has happened. */
  readonly violations: string[] = [];
  /** Sees what each commit has written. */
  onCommit: (records: readonly OutRecord[]) => void = () => {};
  readonly #scheduler: Scheduler;
  readonly #defects: LogDefects;
  readonly #groups = new Map<string, Group>();
  /** `topic/partition` to the offset from which an open transaction hides everything. */
  readonly #openSince = new Map<string, number>();

  constructor(scheduler: Scheduler, defects: LogDefects = {}) {
    this.#scheduler = scheduler;
    this.#defects = defects;
    this.log = new MemoryLog({ now: () => 0 });
  }

  committed(group: string): ReadonlyMap<string, number> {
    return this.#groups.get(group)?.committed ?? new Map();
  }

  /** The log as one process sees it. */
  connect(process: Process): EventLog {
    const { log } = this;
    const call = <T>(apply: () => Promise<T> | T): Promise<T> => this.#call(process, apply);
    return {
      kind: 'memory',
      ensureTopics: (specs) => call(() => log.ensureTopics(specs)),
      topic: (name) => call(() => log.topic(name)),
      topics: () => call(() => log.topics()),
      append: (records) => call(() => log.append(records)),
      appendAtomically: (records) => call(() => log.appendAtomically(records)),
      read: (topic, partition, offset, options) => this.#read(process, topic, partition, offset, options),
      offsets: (topic, partition) => call(() => this.#stable(topic, partition)),
      written: (topic, partition) => call(async () => (await log.offsets(topic, partition)).end),
      offsetForTime: (topic, partition, time) => call(() => log.offsetForTime(topic, partition, time)),
      deleteRecords: () => Promise.reject(new Error('not simulated')),
      join: (options) => call(() => this.#join(process, options)),
      committed: (group) => call(() => new Map(this.committed(group))),
      deleteGroup: () => Promise.reject(new Error('not simulated')),
      maintain: () => call(() => this.maintain()),
      close: () => Promise.resolve(),
    };
  }

  /**
   * Another writer begins a transaction and lets it hang: until it ends, readers see nothing from here on, whatever
   * others have committed behind it.
   */
  async openTransaction(topic: string, partition: number, forMs: number): Promise<void> {
    const at = `${topic}/${partition}`;
    if (this.#openSince.has(at)) return;
    const { end } = await this.log.offsets(topic, partition);
    this.#openSince.set(at, end);
    this.#scheduler.note(`a transaction is open on ${at} from ${end} on`);
    this.#scheduler.post(
      undefined,
      () => {
        this.#openSince.delete(at);
        this.#scheduler.note(`the transaction on ${at} has ended`);
      },
      forMs,
    );
  }

  /** Retention and compaction; a cleaner does not go beyond an open transaction. */
  async maintain(): Promise<void> {
    if (this.#openSince.size === 0) await this.log.maintain();
  }

  async #stable(topic: string, partition: number): Promise<PartitionOffsets> {
    const { earliest, end } = await this.log.offsets(topic, partition);
    return { earliest, end: Math.min(end, this.#openSince.get(`${topic}/${partition}`) ?? end) };
  }

  async #readStable(topic: string, partition: number, offset: number, limits: ReadOptions): Promise<ReadBatch> {
    const batch = await this.log.read(topic, partition, offset, limits);
    const until = this.#openSince.get(`${topic}/${partition}`);
    if (until === undefined) return batch;
    return {
      records: batch.records.filter((record) => record.offset < until),
      nextOffset: Math.max(offset, Math.min(batch.nextOffset, until)),
      endOffset: Math.min(batch.endOffset, until),
    };
  }

  /** Takes a crashed process out of its groups, after the session would have timed out. */
  expire(process: Process): void {
    for (const [name, group] of this.#groups) {
      for (const member of group.members) {
        if (member.process !== process) continue;
        group.members.delete(member);
        this.#scheduler.note(`${process.name} expires in ${name}`);
        this.rebalance(name);
      }
    }
  }

  /** Gives every partition a living owner; some move although they need not. */
  rebalance(name: string): void {
    const group = this.#groups.get(name);
    if (group === undefined || group.members.size === 0) return;
    const members = [...group.members];
    for (let p = 0; p < group.partitions; p++) {
      const owner = group.owners[p];
      const keeps = owner !== undefined && group.members.has(owner) && !this.#scheduler.random.chance(0.3);
      if (!keeps) this.#move(name, group, p, this.#scheduler.random.pick(members));
    }
  }

  #move(name: string, group: Group, partition: number, to: Member): void {
    const from = group.owners[partition];
    if (from === to) return;
    this.#scheduler.note(`${name}/${partition} moves from ${from?.process.name ?? 'nobody'} to ${to.process.name}`);
    group.owners[partition] = undefined;
    const assign = (): void => {
      if (group.owners[partition] !== undefined || !group.members.has(to)) return;
      group.owners[partition] = to;
      this.#callback(to, () => to.options.onAssigned([partition]));
    };
    // A member that is slow to give a partition back, or dead, loses it: the next owner does not wait for ever.
    const { random } = this.#scheduler;
    let given = false;
    if (from === undefined || !from.process.alive || random.chance(0.3)) {
      assign();
      if (from !== undefined) this.#callback(from, () => (from.options.onLost ?? from.options.onRevoked)([partition]));
      return;
    }
    this.#callback(from, async () => {
      await from.options.onRevoked([partition]);
      if (!given) assign();
      given = true;
    });
    this.#scheduler.post(
      undefined,
      () => {
        if (!given) assign();
        given = true;
      },
      200,
    );
  }

  #callback(member: Member, run: () => Promise<void> | void): void {
    this.#scheduler.post(member.process, () => {
      member.callbacks = member.callbacks.then(run);
    });
  }

  async #join(process: Process, options: GroupOptions): Promise<GroupMember> {
    const spec = await this.log.topic(options.topics[0]!);
    const partitions = spec!.partitions;
    const group: Group = this.#groups.get(options.group) ?? {
      partitions,
      owners: [],
      epochs: Array.from({ length: partitions }, () => 0),
      committed: new Map(),
      members: new Set(),
    };
    this.#groups.set(options.group, group);
    const member: Member = { process, options, callbacks: Promise.resolve() };
    group.members.add(member);
    // The request of a process that has died on the way: its session runs out as any other.
    if (!process.alive) this.#scheduler.post(undefined, () => this.expire(process), 100);
    this.#scheduler.post(undefined, () => this.rebalance(options.group));
    return {
      memberId: options.memberId,
      assignment: () => group.owners.flatMap((owner, p) => (owner === member ? [p] : [])),
      settled: () => group.members.has(member) && group.owners.every((owner) => owner !== undefined),
      openWriter: (partition) => this.#call(process, () => this.#openWriter(member, group, partition)),
      leave: async () => {
        group.members.delete(member);
        const held = group.owners.flatMap((owner, p) => (owner === member ? [p] : []));
        await options.onRevoked(held);
        for (const p of held) group.owners[p] = undefined;
        this.rebalance(options.group);
      },
    };
  }

  #openWriter(member: Member, group: Group, partition: number): TaskWriter {
    const { process, options } = member;
    if (group.owners[partition] !== member) throw fenced(options.group, partition);
    group.epochs[partition]! += 1;
    const epoch = group.epochs[partition]!;
    this.#scheduler.note(`${process.name} opens the writer ${options.group}/${partition}, epoch ${epoch}`);
    const check = (): void => {
      if (group.epochs[partition] !== epoch && this.#defects.noFencing !== true) throw fenced(options.group, partition);
    };
    return {
      partition,
      close: () => Promise.resolve(),
      committed: () =>
        this.#call(process, () => {
          check();
          const found = options.topics.map((topic) => [topic, group.committed.get(`${topic}/${partition}`)] as const);
          return new Map(found.filter((entry): entry is [string, number] => entry[1] !== undefined));
        }),
      commit: (records, inputOffsets) =>
        this.#call(
          process,
          () => {
            check();
            return this.#commit(member, group, partition, records, inputOffsets);
          },
          this.#overtake(member, group, partition),
        ),
    };
  }

  /** @returns how long a commit is on its way. */
  #overtake(member: Member, group: Group, partition: number): number {
    const { random } = this.#scheduler;
    const { overtaken } = this.faults;
    if (overtaken === 0 || group.owners[partition] !== member || !random.chance(overtaken)) return 0;
    const others = [...group.members].filter((other) => other !== member && other.process.alive);
    if (others.length === 0) return 0;
    const to = random.pick(others);
    const { name } = to.process;
    this.#scheduler.note(`${member.options.group}/${partition} is lost to ${name} while a commit is on its way`);
    group.owners[partition] = to;
    this.#callback(to, () => to.options.onAssigned([partition]));
    this.#callback(member, () => (member.options.onLost ?? member.options.onRevoked)([partition]));
    return 100 + random.below(400);
  }

  #commit(
    { process, options }: Member,
    group: Group,
    partition: number,
    records: readonly OutRecord[],
    inputOffsets: ReadonlyMap<string, number>,
  ): Promise<readonly number[]> {
    for (const [topic, offset] of inputOffsets) {
      const at = `${topic}/${partition}`;
      const before = group.committed.get(at) ?? 0;
      if (offset < before)
        this.violations.push(`${options.group}: commit of ${at} went back from ${before} to ${offset}`);
      group.committed.set(at, offset);
      this.#scheduler.note(`${process.name} commits ${at} up to ${offset} with ${records.length} records`);
    }
    this.onCommit(records);
    return this.log.append(records);
  }

  async #read(
    process: Process,
    topic: string,
    partition: number,
    offset: number,
    options: ReadOptions = {},
  ): Promise<ReadBatch> {
    const { waitMs, maxRecords, maxBytes } = options;
    const limits = {
      ...(maxRecords === undefined ? {} : { maxRecords }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    };
    const batch = await this.#call(process, () => this.#readStable(topic, partition, offset, limits));
    if (batch.records.length === 0 && waitMs !== undefined) {
      await new Promise<void>((resolve) => this.#scheduler.post(process, resolve, waitMs));
    }
    return batch;
  }

  /** A request and its answer: each comes some time, or never. */
  #call<T>(process: Process, apply: () => Promise<T> | T, delayMs = 0): Promise<T> {
    const { random } = this.#scheduler;
    const lostRequest = random.chance(this.faults.lostRequest);
    const lostResponse = random.chance(this.faults.lostResponse);
    return new Promise((resolve, reject) => {
      const answer = (deliver: () => void): void => {
        const lost = (): void => reject(new FleetcastError('LOG_UNAVAILABLE', 'the answer was lost'));
        this.#scheduler.post(process, lostResponse ? lost : deliver);
      };
      // A request is on its way even when its sender has died.
      this.#scheduler.post(
        undefined,
        () => {
          if (lostRequest) return answer(() => reject(new FleetcastError('LOG_UNAVAILABLE', 'the request was lost')));
          Promise.resolve()
            .then(apply)
            .then(
              (value) => answer(() => resolve(value)),
              (error: unknown) => answer(() => reject(error)),
            );
        },
        delayMs,
      );
    });
  }
}

function fenced(group: string, partition: number): FleetcastError {
  return new FleetcastError('LOG_FENCED', `group ${group}: the writer of partition ${partition} was replaced`);
}
