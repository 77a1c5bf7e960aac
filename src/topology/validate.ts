import { FleetcastError } from '../errors.ts';
import { unordered } from './plan.ts';
import type { Topology } from './topology.ts';

/** Names go into topics, state keys and metrics. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** @throws TOPOLOGY_INVALID, with every fault in the message and in `details.faults`. */
export function validate(topology: Topology): void {
  const faults = [...findFaults(topology)];
  if (faults.length === 0) return;
  throw new FleetcastError('TOPOLOGY_INVALID', `topology ${topology.name}: ${faults.join('; ')}`, {
    details: { topology: topology.name, faults },
  });
}

function* findFaults(topology: Topology): Generator<string> {
  const { nodes, edges } = topology;
  if (!NAME.test(topology.name)) yield `the name of the topology is not of letters, digits, dot, dash, underscore`;
  const reachable = new Set<string>();
  const topics = new Map<string, string>();
  for (const node of nodes.values()) {
    if (!NAME.test(node.name))
      yield `the name ${JSON.stringify(node.name)} is not of letters, digits, dot, dash, underscore`;
    if (node.kind !== 'source') continue;
    reachable.add(node.name);
    const other = topics.get(node.topic);
    if (other !== undefined) yield `the sources ${other} and ${node.name} read the same topic ${node.topic}`;
    topics.set(node.topic, node.name);
  }
  if (reachable.size === 0) yield 'there is no source';

  for (const { from, to } of edges) {
    const feeder = nodes.get(from);
    const fed = nodes.get(to);
    if (feeder === undefined) yield `${to} is fed by ${from}, which does not exist`;
    if (fed === undefined) yield `${from} feeds ${to}, which does not exist`;
    if (feeder?.kind === 'sink') yield `the sink ${from} feeds ${to}`;
    if (fed?.kind === 'source') yield `the source ${to} is fed by ${from}`;
  }
  const pairs = edges.map(({ from, output, to }) => `${from} ${output} ${to}`);
  for (const pair of new Set(pairs.filter((p, i) => pairs.indexOf(p) !== i))) yield `the edge ${pair} is there twice`;

  for (let grown = -1; grown !== reachable.size; ) {
    grown = reachable.size;
    for (const { from, to } of edges) if (reachable.has(from)) reachable.add(to);
  }
  for (const name of nodes.keys()) if (!reachable.has(name)) yield `no source leads to ${name}`;
  const fed = new Set(edges.map(({ from }) => from));
  for (const node of nodes.values()) {
    if (node.kind === 'source' && !fed.has(node.name)) yield `nothing reads the source ${node.name}`;
  }
  const cyclic = unordered(topology);
  if (cyclic.length > 0) yield `there is a cycle through ${cyclic.join(', ')}`;
  else yield* feedbacks(topology);
}

/** Topics through which what a sink writes comes to it again. */
function* feedbacks({ nodes, edges }: Topology): Generator<string> {
  const sources = [...nodes.values()].filter((node) => node.kind === 'source');
  const next = (name: string): string[] => {
    const node = nodes.get(name);
    if (node?.kind !== 'sink') return edges.flatMap(({ from, to }) => (from === name ? [to] : []));
    if (node.feedback === true) return [];
    return sources.flatMap((source) => (source.topic === node.topic ? [source.name] : []));
  };
  for (const node of nodes.values()) {
    if (node.kind !== 'sink') continue;
    const behind = new Set(next(node.name));
    for (const name of behind) for (const each of next(name)) behind.add(each);
    if (!behind.has(node.name)) continue;
    yield `what the sink ${node.name} writes to ${node.topic} comes back to it: a cycle (\`feedback\` allows it)`;
  }
}
