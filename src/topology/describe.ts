import { divide } from './plan.ts';
import type { Topology, TopologyNode } from './topology.ts';

/** The topology as text, one line a node, for people. */
export function describeText(topology: Topology): string {
  const lines = [`topology ${topology.name}`];
  for (const part of divide(topology)) {
    lines.push(`  sub-topology ${part.name}`);
    for (const node of [...part.sources, ...part.nodes]) {
      const targets = topology.edges
        .filter((edge) => edge.from === node.name)
        .map(({ output, to }) => (output === '' ? to : `[${output}] ${to}`));
      lines.push(`    ${label(node)}${targets.length > 0 ? ` → ${targets.join(', ')}` : ''}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A Mermaid flowchart. */
export function describeMermaid(topology: Topology): string {
  const ids = numbered(topology);
  const quote = (text: string) => `"${text.replaceAll('#', '#35;').replaceAll('"', '#quot;')}"`;
  const lines = ['flowchart LR'];
  for (const node of topology.nodes.values()) {
    const id = ids.get(node.name)!;
    const text = quote(label(node));
    if (node.kind === 'source') lines.push(`  ${id}[/${text}/]`);
    else if (node.kind === 'sink') lines.push(`  ${id}[\\${text}\\]`);
    else lines.push(`  ${id}(${text})`);
  }
  for (const { from, output, to } of topology.edges) {
    lines.push(`  ${ids.get(from)!} -->${output === '' ? '' : `|${quote(output)}|`} ${ids.get(to)!}`);
  }
  for (const [sink, source] of repartitions(topology)) lines.push(`  ${ids.get(sink)!} -.-> ${ids.get(source)!}`);
  return `${lines.join('\n')}\n`;
}

/** A graph in the DOT language of Graphviz. */
export function describeDot(topology: Topology): string {
  const quote = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  const lines = [`digraph ${quote(topology.name)} {`, '  rankdir=LR;'];
  for (const node of topology.nodes.values()) {
    const shape = node.kind === 'operator' ? 'box' : 'cds';
    lines.push(`  ${quote(node.name)} [shape=${shape}, label=${quote(label(node))}];`);
  }
  for (const { from, output, to } of topology.edges) {
    lines.push(`  ${quote(from)} -> ${quote(to)}${output === '' ? '' : ` [label=${quote(output)}]`};`);
  }
  for (const [sink, source] of repartitions(topology)) {
    lines.push(`  ${quote(sink)} -> ${quote(source)} [style=dashed];`);
  }
  lines.push('}');
  return `${lines.join('\n')}\n`;
}

function label(node: TopologyNode): string {
  if (node.kind === 'source') return `source ${node.name} (topic ${node.topic})`;
  if (node.kind === 'sink') return `sink ${node.name} (topic ${node.topic})`;
  return `${node.type} ${node.name}`;
}

function numbered(topology: Topology): Map<string, string> {
  return new Map([...topology.nodes.keys()].map((name, i) => [name, `n${i}`]));
}

/** Sinks and the sources that read their topics: one part of the topology feeding another. */
function* repartitions(topology: Topology): Generator<[string, string]> {
  const nodes = [...topology.nodes.values()];
  for (const source of nodes) {
    if (source.kind !== 'source') continue;
    for (const sink of nodes) if (sink.kind === 'sink' && sink.topic === source.topic) yield [sink.name, source.name];
  }
}
