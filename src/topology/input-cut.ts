import { FleetcastError } from '../errors.ts';
import type { PartitionOffsets } from '../log/event-log.ts';
import type { Counts } from './counts.ts';
import type { TaskOptions } from './task-options.ts';

/** What retention has taken of a task's input before it was read, by source. Counted once. */
export class InputCut {
  readonly #options: TaskOptions;
  readonly #cut: number[];

  constructor(options: TaskOptions) {
    this.#options = options;
    this.#cut = options.part.sources.map(() => 0);
  }

  /**
   * @param committed by source, next offset as of the last commit; undefined for none.
   * @param offsets by source, where its log begins and ends.
   * @returns by source, where the task begins or goes on.
   * @throws STATE_LOG_CUT where offsets are lost, unless that is accepted.
   */
  startFrom(committed: readonly (number | undefined)[], offsets: readonly PartitionOffsets[]): number[] {
    const { part, partition, startFrom, acceptCutLog } = this.#options;
    return part.sources.map(({ table, topic }, i) => {
      const { earliest, end } = offsets[i]!;
      const offset = committed[i];
      if (offset !== undefined && offset < earliest) {
        if (!acceptCutLog) throw inputCut(`${topic}/${partition}`, offset, earliest);
        this.#cut[i] = earliest - offset;
        return earliest;
      }
      return offset ?? (startFrom === 'earliest' || table === true ? earliest : end);
    });
  }

  /** Once, with the first commit that goes on behind it. */
  count(counts: Counts): void {
    for (const [i, offsets] of this.#cut.entries()) {
      if (offsets > 0) counts.add(this.#options.part.sources[i]!.name, 'cut', offsets);
    }
    this.#cut.fill(0);
  }
}

function inputCut(where: string, offset: number, earliest: number): FleetcastError {
  return new FleetcastError(
    'STATE_LOG_CUT',
    `${where} begins at offset ${earliest}, the group has read it up to ${offset} only: ${earliest - offset} offsets are ` +
      'lost, which `acceptCutLog` goes on without',
    { details: { where, from: offset, earliest } },
  );
}
