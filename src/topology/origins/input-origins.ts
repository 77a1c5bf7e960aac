import type { Origins, Position } from '../../operators/operator.ts';
import { jsonCodec } from '../../state/json-codec.ts';
import type { GlobalStore } from '../../state/store.ts';
import type { TaskState } from '../../state/task-state.ts';
import type { SourceItem, SourceNode, SourceTick } from '../topology.ts';

const NEVER = Number.NEGATIVE_INFINITY;
const UNBOUNDED = Number.POSITIVE_INFINITY;

/** Latest times of the partitions that feed one repartition topic; null for one that has not been heard. */
type Times = readonly (number | null)[];

interface Clock {
  readonly times: GlobalStore<Times>;
  /** Whether event time behind the topic is bounded by it. */
  readonly bounds: boolean;
  /** What `time` was computed of: a restore puts other times into the store. */
  known: Times | undefined;
  time: number;
}

/** The origins of a micro-batch's input records, and the clocks of the topics that they came through. */
export class InputOrigins implements Origins {
  /** Whether some source has origins. */
  readonly kept: boolean;
  /** By source. */
  readonly #clocks: readonly (Clock | undefined)[];
  /** By turn. */
  readonly #origins: (string | undefined)[] = [];
  readonly #times: number[] = [];

  constructor(sources: readonly SourceNode[], state: TaskState) {
    this.#clocks = sources.map(({ name, repartition, timeOf }) => {
      if (repartition !== true) return undefined;
      const times = state.addGlobal<Times>(`${name}/#clocks`, jsonCodec(), []);
      return { times, bounds: timeOf === 'origin', known: undefined, time: UNBOUNDED };
    });
    this.kept = this.#clocks.some((clock) => clock !== undefined);
  }

  of({ turn }: Position): string | undefined {
    return this.#origins[turn];
  }

  clock({ turn }: Position): number {
    return this.#times[turn]!;
  }

  /** Takes the item of the next turn. */
  push(item: SourceItem<unknown> | Error): void {
    this.#origins.push(item instanceof Error || item.kind !== 'record' ? undefined : item.origin);
    this.#times.push(this.#now());
  }

  /** The partition's time after a tick; undefined where it has not moved or not all clocks have been heard. */
  tick(source: number, turn: number, { time, from = 0, of = 1 }: SourceTick): number | undefined {
    const clock = this.#clocks[source];
    if (clock === undefined) return time;
    const stored = clock.times.get();
    const before = Array.from({ length: of }, (_, i) => stored[i] ?? null);
    const after = before.map((latest, i) => (i === from ? Math.max(time, latest ?? time) : latest));
    clock.times.set(after);
    this.#times[turn] = this.#now();
    const earliest = earliestOf(after);
    return earliest === NEVER || earliest === earliestOf(before) ? undefined : earliest;
  }

  clear(): void {
    this.#origins.length = 0;
    this.#times.length = 0;
  }

  #now(): number {
    let earliest = UNBOUNDED;
    for (const clock of this.#clocks) {
      if (clock?.bounds !== true) continue;
      const times = clock.times.get();
      if (clock.known !== times) {
        clock.known = times;
        clock.time = earliestOf(times);
      }
      if (clock.time < earliest) earliest = clock.time;
    }
    return earliest;
  }
}

/** −∞ until all have been heard; ∞ where none has been. */
function earliestOf(times: Times): number {
  return times.reduce<number>((least, time) => Math.min(least, time ?? NEVER), UNBOUNDED);
}
