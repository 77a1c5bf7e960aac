import { describe, expect, it } from 'vitest';
import { TopologyBuilder } from './builder.ts';
import { describeDot, describeMermaid, describeText } from './describe.ts';
import { divide } from './plan.ts';
import type { SinkEncoder, SourceCodec, Topology } from './topology.ts';
import { validate } from './validate.ts';

const codec: SourceCodec<number> = { decode: () => ({ kind: 'record', value: 1, time: 0 }) };
const encode: SinkEncoder<unknown> = ({ key }) => ({ key, value: null });

function sample(): Topology {
  const builder = new TopologyBuilder('sample');
  const source = builder.source('in', { topic: 'numbers', codec });
  const kept = source.filter('kept', (n) => n > 0);
  kept.map('text', String).sink('out', { topic: 'texts', encode });
  kept.output<string>('odd').merge(source.map('other', String)).sink('rest', { topic: 'rest', encode });
  builder.source('second', { topic: 'more', codec }).sink('copy', { topic: 'copies', encode });
  return builder.build();
}

describe('TopologyBuilder', () => {
  it('divides a topology into its connected parts, nodes after all that feed them', () => {
    const parts = divide(sample());
    expect(parts.map(({ name, nodes }) => [name, nodes.map((node) => node.name)])).toEqual([
      ['in', ['kept', 'other', 'rest', 'text', 'out']],
      ['second', ['copy']],
    ]);
    expect(parts[0]!.inputs.get('rest')).toEqual([
      { from: 'kept', output: 'odd' },
      { from: 'other', output: '' },
    ]);
  });

  it('describes branches and topics of any name so that Mermaid and DOT can be read', () => {
    const builder = new TopologyBuilder('names');
    const source = builder.source('in', { topic: 'a"#1', codec });
    const {
      'a|b': either,
      end,
      '"\\': odd,
    } = source.split('by', {
      'a|b': () => true,
      end: () => true,
      '"\\': () => true,
    });
    for (const [i, branch] of [either, end, odd].entries()) branch.sink(`out-${i}`, { topic: 'out', encode });
    const mermaid = describeMermaid(builder.build());
    expect(mermaid).toContain('"source in (topic a#quot;#35;1)"');
    for (const name of ['a|b', 'end', '#quot;\\']) expect(mermaid).toContain(`-->|"${name}"|`);
    expect(describeDot(builder.build())).toContain('[label="\\"\\\\"]');
  });

  it('describes as text, Mermaid and DOT', () => {
    expect(describeText(sample())).toMatchInlineSnapshot(`
      "topology sample
        sub-topology in
          source in (topic numbers) → kept, other
          filter kept → text, [odd] rest
          map other → rest
          sink rest (topic rest)
          map text → out
          sink out (topic texts)
        sub-topology second
          source second (topic more) → copy
          sink copy (topic copies)
      "
    `);
    expect(describeMermaid(sample())).toMatchInlineSnapshot(`
      "flowchart LR
        n0[/"source in (topic numbers)"/]
        n1("filter kept")
        n2("map text")
        n3[\\"sink out (topic texts)"\\]
        n4("map other")
        n5[\\"sink rest (topic rest)"\\]
        n6[/"source second (topic more)"/]
        n7[\\"sink copy (topic copies)"\\]
        n0 --> n1
        n1 --> n2
        n2 --> n3
        n0 --> n4
        n1 -->|"odd"| n5
        n4 --> n5
        n6 --> n7
      "
    `);
    expect(describeDot(sample())).toMatchInlineSnapshot(`
      "digraph "sample" {
        rankdir=LR;
        "in" [shape=cds, label="source in (topic numbers)"];
        "kept" [shape=box, label="filter kept"];
        "text" [shape=box, label="map text"];
        "out" [shape=cds, label="sink out (topic texts)"];
        "other" [shape=box, label="map other"];
        "rest" [shape=cds, label="sink rest (topic rest)"];
        "second" [shape=cds, label="source second (topic more)"];
        "copy" [shape=cds, label="sink copy (topic copies)"];
        "in" -> "kept";
        "kept" -> "text";
        "text" -> "out";
        "in" -> "other";
        "kept" -> "rest" [label="odd"];
        "other" -> "rest";
        "second" -> "copy";
      }
      "
    `);
  });

  it('refuses two nodes of one name, and two sources of one topic', () => {
    const builder = new TopologyBuilder('sample');
    const source = builder.source('in', { topic: 'numbers', codec });
    source.map('in-text', String).sink('out', { topic: 'texts', encode });
    expect(() => source.map('out', String)).toThrow(/two nodes have the name out/);
    builder.source('again', { topic: 'numbers', codec }).sink('copy', { topic: 'copies', encode });
    expect(() => builder.build()).toThrow(/the sources in and again read the same topic numbers/);
  });

  it('refuses a topic through which what a sink writes comes back to it, unless that is meant', () => {
    const through = (topics: string[], feedback?: true) => {
      const builder = new TopologyBuilder('circle');
      for (const [i, topic] of topics.entries()) {
        const to = topics[(i + 1) % topics.length]!;
        const options = { topic: to, encode, ...(feedback === undefined ? {} : { feedback }) };
        builder.source(`from-${topic}`, { topic, codec }).map(`text-${topic}`, String).sink(`to-${to}`, options);
      }
      return builder;
    };
    expect(() => through(['a']).build()).toThrow(
      'what the sink to-a writes to a comes back to it: a cycle (`feedback` allows it)',
    );
    expect(() => through(['a', 'b', 'c']).build()).toThrow(/sink to-b .*sink to-c .*sink to-a /);
    expect(through(['a'], true).build().nodes.size).toBe(3);
    // What goes round elsewhere is not the fault of the sink beside it, nor is a topic that is read on.
    const beside = through(['a']);
    beside.source('x', { topic: 'x', codec }).map('y', String).sink('z', { topic: 'a', encode });
    expect(() => beside.build()).toThrow(
      expect.objectContaining({ details: { topology: 'circle', faults: [expect.stringContaining('to-a')] } }),
    );
    const chain = new TopologyBuilder('chain');
    chain.source('x', { topic: 'x', codec }).map('y', String).sink('z', { topic: 'middle', encode });
    chain.source('again', { topic: 'middle', codec }).map('text', String).sink('end', { topic: 'end', encode });
    expect(chain.build().nodes.size).toBe(6);
  });

  it('refuses streams of two builders', () => {
    const one = new TopologyBuilder('one').source('in', { topic: 'a', codec });
    const two = new TopologyBuilder('two').source('in', { topic: 'b', codec });
    expect(() => one.merge(two)).toThrow(/two builders/);
  });

  it('finds every fault of a graph', () => {
    const { nodes, edges } = sample();
    const faulty: Topology = {
      name: 'a b',
      nodes: new Map([...nodes, ['lonely', { ...nodes.get('copy')!, name: 'lonely' }]]),
      edges: [
        ...edges,
        { from: 'text', output: '', to: 'kept' },
        { from: 'out', output: '', to: 'rest' },
        { from: 'in', output: '', to: 'second' },
        { from: 'in', output: '', to: 'kept' },
      ],
    };
    expect(() => validate(faulty)).toThrowError(
      expect.objectContaining({
        details: {
          topology: 'a b',
          faults: [
            'the name of the topology is not of letters, digits, dot, dash, underscore',
            'the sink out feeds rest',
            'the source second is fed by in',
            'the edge in  kept is there twice',
            'no source leads to lonely',
            expect.stringMatching(/^there is a cycle through .*kept/),
          ],
        },
      }),
    );
    expect(() => new TopologyBuilder('empty').build()).toThrow(/there is no source/);
    const unread = new TopologyBuilder('unread');
    unread.source('in', { topic: 'a', codec });
    expect(() => unread.build()).toThrow(/nothing reads the source in/);
  });
});
