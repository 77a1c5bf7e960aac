import type { Score, ScoreEntry } from '../../events/records.ts';
import { isNaiveName } from '../../operators/baselines.ts';

/** How well a model has done lately, over the same buckets and steps as the others of its row. */
export interface ModelError {
  readonly model: string;
  readonly role: ScoreEntry['role'];
  /** Mean absolute error in deviations of the series. */
  readonly error: number;
  /** Share of the actuals inside the interval, 0 to 1. */
  readonly coverage: number;
  /** Scored forecasts behind the numbers, before older ones fade. */
  readonly scored: number;
}

interface Sums {
  role: ScoreEntry['role'];
  weight: number;
  error: number;
  inside: number;
  scored: number;
}

/** Weight of an entry that is `HALF_LIFE` entries of the same model old. */
const HALF_LIFE = 5_000;
const FADE = 2 ** (-1 / HALF_LIFE);
const MODELS = 32;
const CHAMPIONS = 8;

/**
 * Errors by model from the records of `scores`. One table for each champion, so that all rows of a table are over the same
 * buckets and steps; bounded to the last few champions.
 */
export class ErrorTable {
  readonly #tables = new Map<string, Map<string, Sums>>();

  add(score: Score): void {
    if (!(score.deviation > 0) || !Number.isFinite(score.actual)) return;
    let champion = '';
    const steps = new Set<number>();
    for (const entry of score.entries) {
      if (!isModel(entry)) continue;
      champion = entry.model;
      steps.add(entry.step);
    }
    const table = this.#table(champion);
    for (const entry of score.entries) {
      // A naive forecast that serves for want of a model is in the record as a baseline too.
      if (entry.role === 'champion' && !isModel(entry)) continue;
      if (steps.size === 0 || steps.has(entry.step)) add(table, entry, score);
    }
  }

  /** The comparison while `champion` served (empty: while no model did), best first. */
  list(champion: string): ModelError[] {
    const rows = [...(this.#tables.get(champion) ?? [])].map(([model, sums]) => ({
      model,
      role: sums.role,
      error: sums.error / sums.weight,
      coverage: sums.inside / sums.weight,
      scored: sums.scored,
    }));
    return rows.sort((a, b) => a.error - b.error);
  }

  #table(champion: string): Map<string, Sums> {
    let table = this.#tables.get(champion);
    if (table === undefined) {
      if (this.#tables.size >= CHAMPIONS) this.#tables.delete(this.#tables.keys().next().value!);
      table = new Map();
      this.#tables.set(champion, table);
    }
    return table;
  }
}

/** The champion's entry, and the champion is a trained model. */
export function isModel(entry: ScoreEntry): boolean {
  return entry.role === 'champion' && !isNaiveName(entry.model);
}

function add(table: Map<string, Sums>, entry: ScoreEntry, score: Score): void {
  let sums = table.get(entry.model);
  if (sums === undefined) {
    if (table.size >= MODELS) return;
    sums = { role: entry.role, weight: 0, error: 0, inside: 0, scored: 0 };
    table.set(entry.model, sums);
  }
  const inside = score.actual >= entry.lower && score.actual <= entry.upper;
  sums.role = entry.role;
  sums.weight = sums.weight * FADE + 1;
  sums.error = sums.error * FADE + Math.abs(score.actual - entry.value) / score.deviation;
  sums.inside = sums.inside * FADE + (inside ? 1 : 0);
  sums.scored += 1;
}
