import { FleetcastError } from '../errors.ts';
import type { Edge, TopologyNode } from './topology.ts';

/** Where records of a stream come from: one output of a node, or several after a merge. */
export interface Origin {
  readonly node: string;
  readonly output: string;
}

/** The graph that a builder and its streams add to. */
export class GraphDraft {
  readonly nodes = new Map<string, TopologyNode>();
  readonly edges: Edge[] = [];

  /** @throws TOPOLOGY_INVALID for a name that is taken. */
  add(node: TopologyNode, from: readonly Origin[] = []): void {
    if (this.nodes.has(node.name)) {
      throw new FleetcastError('TOPOLOGY_INVALID', `two nodes have the name ${node.name}`);
    }
    this.nodes.set(node.name, node);
    for (const { node: source, output } of from) this.edges.push({ from: source, output, to: node.name });
  }
}
