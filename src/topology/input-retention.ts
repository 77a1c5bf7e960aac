import { messageOf } from '../errors.ts';
import type { Sweep } from '../state/sweep.ts';
import type { InputJournal } from './input-journal.ts';
import type { TaskOptions } from './task-options.ts';

/** How often the start of the input log is looked up, for the margin that a restore has. */
const CHECK_MS = 10_000;
/** How often records that nobody needs any more are deleted from the topics behind `keyBy`. */
const PURGE_MS = 30_000;

/** What decides from where a restore reads the input. */
export interface RestoreNeeds {
  readonly hasStores: boolean;
  readonly sweep: Sweep;
  /** Undefined for a task with one source. */
  readonly journal: InputJournal | undefined;
}

/**
 * For how long the log keeps the input of one life of a task. The retention of the input's topics must not overtake a
 * restore, so the sweep hurries before it does; the topics behind `keyBy` have none, so what no restore reads any more is
 * deleted.
 */
export class InputRetention {
  /** The log is about to lose what a restore would need. */
  atRisk = false;
  readonly #options: TaskOptions;
  readonly #needs: RestoreNeeds;
  #checkedAt: number;
  #purgedAt: number;

  constructor(options: TaskOptions, needs: RestoreNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.#checkedAt = options.clock.now();
    this.#purgedAt = options.clock.now();
  }

  /** Sets the sweep's deadline after the shortest retention of the input. */
  async prepare(): Promise<void> {
    const { log, part } = this.#options;
    const specs = await Promise.all(part.sources.map(({ topic }) => log.topic(topic)));
    const retentions = specs.map((spec) => spec?.retentionMs).filter((ms) => ms !== undefined);
    this.#needs.sweep.setRetention(retentions.length > 0 ? Math.min(...retentions) : undefined);
  }

  /**
   * @param taken by source, next offset to take.
   * @returns by source, the first offset that a restore from there reads.
   */
  needed(taken: readonly number[]): number[] {
    if (!this.#needs.hasStores) return [...taken];
    return taken.map((offset, source) => Math.min(offset, this.#neededFrom(source, offset)));
  }

  /** The sweep hurries where the log is about to lose records that a restore would need. */
  async watch(taken: readonly number[]): Promise<void> {
    const { clock, log, part, partition } = this.#options;
    const { hasStores, sweep } = this.#needs;
    if (!hasStores || clock.now() - this.#checkedAt < CHECK_MS) return;
    this.#checkedAt = clock.now();
    let margin = 1;
    for (const [source, { topic, table, repartition }] of part.sources.entries()) {
      // Behind a `keyBy` the log begins where a restore does: `purge` has seen to that.
      if (table === true || repartition === true) continue;
      const { earliest } = await log.offsets(topic, partition);
      const kept = taken[source]! - earliest;
      if (earliest > 0 && kept > 0) {
        margin = Math.min(margin, (this.#neededFrom(source, taken[source]!) - earliest) / kept);
      }
    }
    sweep.setHaste(margin < 0.5 ? 8 : 1);
    this.atRisk = margin < 0.2;
  }

  /**
   * Deletes what no restore reads any more from the topics behind `keyBy`, which nobody else reads.
   * @param needless by source: what is before is needed by no restore, as of the last commit.
   */
  async purge(needless: readonly number[]): Promise<void> {
    const { clock, log, part, partition, name, onEvent } = this.#options;
    if (clock.now() - this.#purgedAt < PURGE_MS) return;
    this.#purgedAt = clock.now();
    for (const [source, before] of needless.entries()) {
      const { topic, repartition } = part.sources[source]!;
      if (repartition !== true || before === 0) continue;
      try {
        await log.deleteRecords(topic, partition, before);
      } catch (error) {
        // The topic grows until it can be done.
        const message = `task ${name} cannot delete what it has read of ${topic}/${partition}: ${messageOf(error)}`;
        onEvent({ kind: 'not-purged', task: name, message, error });
      }
    }
  }

  /** First offset of a source that a restore would replay. */
  #neededFrom(source: number, taken: number): number {
    const { sweep, journal } = this.#needs;
    const from = sweep.replayFrom + 1;
    return journal === undefined ? from : (journal.startOf(source, from) ?? taken);
  }
}
