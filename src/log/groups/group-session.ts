import { FleetcastError, isFleetcastError } from '../../errors.ts';
import type { GroupOptions, PartitionWait } from '../event-log.ts';
import { claim, drop, enter, expire, type GroupState, release, type Step, step, waits } from './group-state.ts';

/** Holds the state of one group. */
export interface GroupTable {
  /** Runs `change` on the group's state as one atomic, durable step. Listeners hear of it if the state has changed. */
  update<T>(change: (state: GroupState) => T): Promise<T>;
  /** Calls back soon after the group may have changed, whoever changed it. */
  subscribe(listener: () => void): () => void;
  /** Undefined where members cannot die alone (they all live in this process). */
  readonly clock: (() => number) | undefined;
}

const DEFAULT_SESSION_MS = 10_000;
const RETRY_MS = 250;

/**
 * One member's run in a group: keeps its sign of life, gives partitions back and takes them, and calls the options'
 * callbacks one after the other. A session that was silent for too long loses everything (`onLost`) and joins again;
 * one whose name was taken by a later run loses everything and ends.
 */
export class GroupSession {
  readonly #options: GroupOptions;
  readonly #table: GroupTable;
  readonly #incarnation: string;
  readonly #partitions: number;
  readonly #sessionMs: number;
  readonly #held = new Set<number>();
  #waits: readonly PartitionWait[] = [];
  #toldWaits = '[]';
  #settled = false;
  #leaving = false;
  #abandoned = false;
  #wake: () => void = () => {};
  #woken = false;
  #loop: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => {};
  #beat: NodeJS.Timeout | undefined;

  /** @param incarnation unique for each run. */
  constructor(options: GroupOptions, table: GroupTable, incarnation: string, partitions: number) {
    this.#options = options;
    this.#table = table;
    this.#incarnation = incarnation;
    this.#partitions = partitions;
    this.#sessionMs = options.sessionMs ?? DEFAULT_SESSION_MS;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  /** See `GroupMember.settled`. */
  get settled(): boolean {
    return this.#settled;
  }

  async start(): Promise<void> {
    await this.#enter();
    this.#unsubscribe = this.#table.subscribe(() => this.#rouse());
    if (this.#table.clock !== undefined) {
      this.#beat = setInterval(() => void this.#signOfLife(), Math.max(5, this.#sessionMs / 5));
    }
    this.#loop = this.#run();
    this.#loop.catch((error: unknown) => {
      // A callback that throws is a defect of the caller: let it be seen rather than hold partitions in silence.
      queueMicrotask(() => {
        throw error;
      });
    });
  }

  assignment(): readonly number[] {
    return [...this.#held].sort((a, b) => a - b);
  }

  /** @throws LOG_FENCED where the partition is not held any more. */
  async claim(partition: number): Promise<number> {
    const epoch = this.#held.has(partition)
      ? await this.#table.update((state) => claim(state, this.#incarnation, partition))
      : undefined;
    if (epoch !== undefined) return epoch;
    throw new FleetcastError(
      'LOG_FENCED',
      `group ${this.#options.group}: partition ${partition} is not assigned to ${this.#options.memberId}`,
      { details: { group: this.#options.group, partition } },
    );
  }

  async leave(): Promise<void> {
    this.#leaving = true;
    this.#rouse();
    await this.#loop;
  }

  /** Ends at once, without `onRevoked`: the log is being closed. The partitions are free for others. */
  abandon(): void {
    this.#leaving = true;
    this.#abandoned = true;
    this.#held.clear();
    this.#stop();
    this.#drop().catch(() => {});
    this.#rouse();
  }

  async #run(): Promise<void> {
    // The first callback comes when `join` has given its caller the member.
    await new Promise((resolve) => setImmediate(resolve));
    for (;;) {
      if (this.#leaving) break;
      this.#woken = false;
      const todo = await this.#step();
      this.#tellWaits();
      if (todo === undefined) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      } else if (!todo.member) {
        this.#settled = false;
        await this.#lose();
        if (todo.replaced) return this.#stop();
        await this.#enter();
      } else if (todo.revoke.length > 0) {
        await this.#revoke(todo.revoke);
      } else if (todo.acquired.length > 0) {
        for (const p of todo.acquired) this.#held.add(p);
        await this.#options.onAssigned(todo.acquired);
      } else {
        this.#settled = true;
        await this.#sleep();
      }
    }
    this.#stop();
    if (this.#abandoned) return;
    if (this.#held.size > 0) await this.#revoke(this.assignment());
    await this.#drop();
  }

  async #drop(): Promise<void> {
    await this.#table.update((state) => {
      if (state.members[this.#options.memberId]?.incarnation === this.#incarnation) {
        drop(state, this.#options.memberId);
      }
    });
  }

  /** What the group holds for this member now; waits where the log cannot be written (a full disk, for example). */
  async #step(): Promise<Step | undefined> {
    try {
      return await this.#table.update((state) => {
        this.#touch(state);
        const todo = step(state, this.#options.memberId, this.#incarnation);
        this.#lookAtWaits(state);
        return todo;
      });
    } catch (error) {
      if (this.#abandoned || (isFleetcastError(error) && error.retryable)) return undefined;
      throw error;
    }
  }

  async #enter(): Promise<void> {
    await this.#table.update((state) => {
      const seenAt = this.#table.clock?.() ?? 0;
      const entry = { incarnation: this.#incarnation, seenAt, sessionMs: this.#sessionMs };
      enter(state, this.#options.memberId, entry, this.#partitions);
    });
  }

  async #signOfLife(): Promise<void> {
    try {
      const expired = await this.#table.update((state) => {
        const gone = this.#touch(state);
        this.#lookAtWaits(state);
        return gone;
      });
      this.#tellWaits();
      if (expired) this.#rouse();
    } catch {
      // The log cannot be written now: the loop meets the same error where the caller sees it.
    }
  }

  #lookAtWaits(state: GroupState): void {
    this.#waits = waits(state, this.#options.memberId, this.#table.clock?.());
  }

  #tellWaits(): void {
    const now = JSON.stringify(this.#waits);
    if (now === this.#toldWaits || this.#leaving) return;
    this.#toldWaits = now;
    this.#options.onWaiting?.(this.#waits);
  }

  #touch(state: GroupState): boolean {
    const now = this.#table.clock?.();
    if (now === undefined) return false;
    const self = state.members[this.#options.memberId];
    if (self?.incarnation === this.#incarnation && now - self.seenAt > this.#sessionMs / 10) self.seenAt = now;
    return expire(state, now) || self?.incarnation !== this.#incarnation;
  }

  async #revoke(partitions: readonly number[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#sessionMs);
    });
    try {
      await Promise.race([this.#options.onRevoked(partitions), late]);
    } finally {
      clearTimeout(timer);
      for (const p of partitions) this.#held.delete(p);
      await this.#table.update((state) => release(state, this.#incarnation, partitions));
    }
  }

  async #lose(): Promise<void> {
    const lost = this.assignment();
    this.#held.clear();
    if (lost.length > 0) await this.#options.onLost?.(lost);
  }

  async #sleep(): Promise<void> {
    if (this.#woken) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #rouse(): void {
    this.#woken = true;
    this.#wake();
  }

  #stop(): void {
    this.#unsubscribe();
    clearInterval(this.#beat);
  }
}
