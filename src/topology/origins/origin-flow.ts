import type { Subtopology } from '../plan.ts';

/**
 * Which nodes get records that have an origin: those behind a repartition topic, up to the main output of an operator
 * that gathers. Asked for nodes in the order of the sub-topology.
 */
export class OriginFlow {
  readonly #inputs: Subtopology['inputs'];
  readonly #reached: Set<string>;
  readonly #ends = new Set<string>();

  constructor({ sources, inputs }: Pick<Subtopology, 'sources' | 'inputs'>) {
    this.#inputs = inputs;
    this.#reached = new Set(sources.filter(({ repartition }) => repartition === true).map(({ name }) => name));
  }

  reaches(node: string): boolean {
    const inputs = this.#inputs.get(node) ?? [];
    const reached = inputs.some(({ from, output }) => {
      return this.#reached.has(from) && (output !== '' || !this.#ends.has(from));
    });
    if (reached) this.#reached.add(node);
    return reached;
  }

  /** What this node gives on its main output has no origin; what it puts aside still has. */
  endsAt(node: string): void {
    this.#ends.add(node);
  }
}
