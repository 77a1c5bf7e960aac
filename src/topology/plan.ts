import type { OperatorNode, SinkNode, SourceNode, Topology } from './topology.ts';

/** A connected part of a topology: what one task runs. `keyBy` divides a topology into several. */
export interface Subtopology {
  /** Name of its first source by name: stable when other parts are edited. */
  readonly name: string;
  readonly sources: readonly SourceNode[];
  /** Operators and sinks, every node after all that feed it. */
  readonly nodes: readonly (OperatorNode | SinkNode)[];
  /** Nodes that feed each node, in the order of the edges. */
  readonly inputs: ReadonlyMap<string, readonly Input[]>;
}

export interface Input {
  readonly from: string;
  readonly output: string;
}

/** The order of nodes does not depend on the order in which they were declared, nor does the division. */
export function divide(topology: Topology): Subtopology[] {
  const groups = new Map<string, Set<string>>();
  for (const name of topology.nodes.keys()) groups.set(name, new Set([name]));
  for (const { from, to } of topology.edges) {
    const a = groups.get(from)!;
    const b = groups.get(to)!;
    if (a === b) continue;
    for (const name of b) {
      a.add(name);
      groups.set(name, a);
    }
  }
  const parts = [...new Set(groups.values())].map((names) => subtopology(topology, names));
  return parts.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Sub-topologies under the names that they have had: a source that was added may be the first by name now, but state and
 * offsets are kept under the name from before.
 * @param known names of the sub-topologies of this group that have run
 */
export function keepNames(parts: readonly Subtopology[], known: readonly string[]): Subtopology[] {
  const taken = new Set(parts.map(({ name }) => name));
  return parts.map((part) => {
    if (known.includes(part.name)) return part;
    const before = known.filter((name) => !taken.has(name) && part.sources.some((source) => source.name === name));
    return before.length === 1 ? { ...part, name: before[0]! } : part;
  });
}

/** Names of the nodes that lie on a cycle or behind one. */
export function unordered(topology: Topology): string[] {
  const ordered = new Set(order(topology, [...topology.nodes.keys()].sort()));
  return [...topology.nodes.keys()].filter((name) => !ordered.has(name));
}

function subtopology(topology: Topology, names: ReadonlySet<string>): Subtopology {
  const nodes = order(topology, [...names].sort()).map((name) => topology.nodes.get(name)!);
  const sources = nodes.filter((node): node is SourceNode => node.kind === 'source');
  const inputs = new Map<string, Input[]>();
  for (const { from, output, to } of topology.edges) {
    if (!names.has(to)) continue;
    const list = inputs.get(to) ?? [];
    list.push({ from, output });
    inputs.set(to, list);
  }
  return {
    name: sources.map((source) => source.name).sort()[0] ?? [...names].sort()[0]!,
    sources,
    nodes: nodes.filter((node): node is OperatorNode | SinkNode => node.kind !== 'source'),
    inputs,
  };
}

/** Kahn's algorithm; among nodes that are ready, the first by name. */
function order(topology: Topology, names: readonly string[]): string[] {
  const waiting = new Map<string, number>(names.map((name) => [name, 0]));
  for (const { to } of topology.edges) {
    const count = waiting.get(to);
    if (count !== undefined) waiting.set(to, count + 1);
  }
  const ordered: string[] = [];
  for (;;) {
    const next = names.find((name) => waiting.get(name) === 0);
    if (next === undefined) return ordered;
    waiting.delete(next);
    ordered.push(next);
    for (const { from, to } of topology.edges) {
      if (from === next && waiting.has(to)) waiting.set(to, waiting.get(to)! - 1);
    }
  }
}
