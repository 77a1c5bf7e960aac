import { jsonCodec } from '../../src/state/json-codec.ts';
import { TopologyBuilder } from '../../src/topology/builder.ts';
import type { NodeStream } from '../../src/topology/stream.ts';
import type { SourceCodec, TimeOf, Topology } from '../../src/topology/topology.ts';
import { session, sliding, tumbling } from '../../src/topology/windows/window-spec.ts';

export interface Sent {
  readonly id: number;
  readonly room: string;
  /** Event time. */
  readonly t: number;
}

/** Topics of the results. */
export const RESULTS = ['minutes', 'walks', 'paces', 'pairs'] as const;

export const TIMES = { graceMs: 40, idleMs: 150, holdMs: 4_000, futureMs: 5_000 } as const;

const codec: SourceCodec<Sent> = {
  decode({ value }) {
    const item = JSON.parse(Buffer.from(value!).toString('utf8'));
    return 'tick' in item ? { kind: 'tick', time: item.tick } : { kind: 'record', value: item, time: item.t };
  },
};
const ids = {
  initial: (): number[] => [],
  add: (list: number[], { id }: Sent) => [...list, id],
};
const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});

/** Nodes that judge lateness (by default one of each kind), behind a repartition topic; what is late goes to the topic `late`. */
export function lagging(
  timeOf?: TimeOf,
  names: readonly (typeof RESULTS)[number][] = RESULTS,
  forgetMs = Number.POSITIVE_INFINITY,
): Topology {
  const times = { ...TIMES, forgetMs };
  const builder = new TopologyBuilder('lagging');
  const options = timeOf === undefined ? {} : { timeOf };
  const rooms = builder.source('readings', { topic: 'readings', codec }).keyBy('by-room', ({ room }) => room, options);
  const ordered = jsonCodec<Sent>();
  const join = { kind: 'outer', withinMs: 20, ...times, left: jsonCodec<Sent>(), right: jsonCodec<Sent>() } as const;
  const nodes: Record<(typeof RESULTS)[number], () => NodeStream<unknown>> = {
    minutes: () => rooms.window(tumbling(50, times)).aggregate('minutes', ids, { ordered }),
    walks: () => rooms.window(session(30, times)).aggregate('walks', ids, { ordered }),
    paces: () => rooms.window(sliding(40, times)).aggregate('paces', ids, { ordered }),
    pairs: () => {
      const odd = rooms.filter('odd', ({ id }) => id % 2 === 1);
      const even = rooms.filter('even', ({ id }) => id % 2 === 0);
      return even.join('pairs', odd, join, (left, right) => [left?.id, right?.id]);
    },
  };
  for (const name of names) {
    const node = nodes[name]();
    node.sink(`${name}-out`, { topic: name, encode });
    node.output<Sent>('late').sink(`${name}-late`, { topic: 'late', encode });
  }
  return builder.build();
}
