import { describe, expectTypeOf, it } from 'vitest';
import type { Collector, Operator, StreamRecord } from '../operators/operator.ts';
import { numberCodec, stringCodec } from '../state/codecs.ts';
import { TopologyBuilder } from './builder.ts';
import type { Stream } from './stream.ts';
import type { SinkEncoder, SourceCodec } from './topology.ts';
import { session, tumbling, type Windowed } from './windows/window-spec.ts';

type DeviceId = string & { readonly device: true };
type RoomId = string & { readonly room: true };

const texts: SourceCodec<string> = { decode: () => ({ kind: 'skip', reason: 'unused' }) };
const encodeNumber: SinkEncoder<number> = ({ key }) => ({ key, value: null });

class Doubled implements Operator<number, number> {
  process(record: StreamRecord<number>, out: Collector<number>): void {
    out.emit(2 * record.value, record.time);
  }
}

// The compiler is the test: `npm run typecheck` fails where a line marked as an error is none.
describe('types of a topology', () => {
  it('flow from source to sink', () => {
    const builder = new TopologyBuilder('types');
    const source = builder.source<string, DeviceId>('in', { topic: 'in', codec: texts });
    const lengths = source.map('length', (text) => text.length);
    expectTypeOf(lengths).toExtend<Stream<number, DeviceId>>();
    lengths.sink('lengths', { topic: 'lengths', encode: encodeNumber });
    // @ts-expect-error a sink for numbers does not take texts
    source.sink('texts', { topic: 'texts', encode: encodeNumber });
    // @ts-expect-error a codec of texts does not make a stream of numbers
    builder.source<number>('wrong', { topic: 'wrong', codec: texts });

    const narrowed = source.filter('a', (text): text is 'a' => text === 'a');
    expectTypeOf(narrowed).toExtend<Stream<'a', DeviceId>>();
    expectTypeOf(source.merge(lengths)).toExtend<Stream<string | number, DeviceId>>();
    const { long, short } = source.split('size', { long: (text) => text.length > 9, short: () => true });
    expectTypeOf(long).toEqualTypeOf(short);
    // @ts-expect-error there is no such branch
    source.split('colour', { red: () => true }).blue;

    expectTypeOf(source.window(tumbling(5)).count('n')).toExtend<Stream<Windowed<number>, DeviceId>>();
    const longest = source.window(session(5)).reduce('longest', (a, b) => (a.length > b.length ? a : b));
    expectTypeOf(longest).toExtend<Stream<Windowed<string>, DeviceId>>();
    // @ts-expect-error a codec of numbers cannot keep texts
    source.window(tumbling(6)).reduce('other', (a) => a, { codec: numberCodec });
    const counted = source.window(tumbling(8)).count('c').window(tumbling(8));
    // @ts-expect-error nor windows of counts
    counted.reduce('r', (a) => a, { codec: numberCodec });
    // @ts-expect-error the values of a window that are folded in order are texts
    source.window(tumbling(9)).aggregate('o', { initial: () => 0, add: (n) => n + 1 }, { ordered: numberCodec });
    // @ts-expect-error what a window holds is a number
    source.window(tumbling(9)).aggregate('p', { initial: () => 0, add: (n) => n + 1 }, { codec: stringCodec });
    // @ts-expect-error an operator of numbers does not take texts
    source.process('operator', () => new Doubled());
    expectTypeOf(lengths.process('doubled', () => new Doubled())).toExtend<Stream<number, DeviceId>>();
    // @ts-expect-error a codec of numbers does not carry texts to another key
    source.keyBy('key', (text) => text, { codec: numberCodec });
    // @ts-expect-error nor does it make a table of texts
    builder.table<string>('table', { topic: 'table', codec: numberCodec });
    // @ts-expect-error a filter that is no filter
    source.filter('none', (text) => text.length);
    // @ts-expect-error a flat map gives several
    source.flatMap('one', () => 1);
    // @ts-expect-error there is no such policy
    source.map('policy', (text) => text, { onError: 'ignore' });
    // @ts-expect-error windows put late records to an output, to the dead letters, or nowhere
    tumbling(10, { late: 'correct' });
    // @ts-expect-error sessions are not corrected
    session(10, { correctMs: 5 });
    // @ts-expect-error an aggregator of numbers does not take texts
    source.window(tumbling(7)).aggregate('sum', { initial: () => 0, add: (sum: number, n: number) => sum + n });
  });

  it('keep streams of different keys apart', () => {
    const builder = new TopologyBuilder('keys');
    const devices = builder.source<string, DeviceId>('in', { topic: 'in', codec: texts });
    const rooms = devices.keyBy('by-room', (text) => text as RoomId);
    expectTypeOf(rooms).toExtend<Stream<string, RoomId>>();
    const names = builder.table<string, RoomId>('names', { topic: 'names', codec: stringCodec });
    const codecs = { withinMs: 1, left: stringCodec, right: stringCodec };

    const named = rooms.joinTable('named', names, (text, name) => {
      expectTypeOf(name).toEqualTypeOf<string>();
      return text.length + name.length;
    });
    expectTypeOf(named).toExtend<Stream<number, RoomId>>();
    rooms.joinTable('maybe', names, (_, name) => expectTypeOf(name).toEqualTypeOf<string | undefined>(), {
      kind: 'left',
    });
    // @ts-expect-error a stream by device does not join a table by room
    devices.joinTable('wrong', names, (text) => text);
    // @ts-expect-error nor a stream by room
    devices.join('wrong-too', rooms, codecs, (a, b) => a + b);
    // @ts-expect-error the right side's codec is one of numbers
    rooms.join('bad-right', names.changes(), { ...codecs, right: numberCodec }, (a) => a);
    rooms.join(
      'inner',
      rooms.map('again', (text) => text),
      codecs,
      (a, b) => {
        expectTypeOf(b).toEqualTypeOf<string>();
        return a + b;
      },
    );
    rooms.join(
      'left',
      rooms.map('once-more', (text) => text),
      { ...codecs, kind: 'left' },
      (a, b) => {
        expectTypeOf(b).toEqualTypeOf<string | undefined>();
        return a;
      },
    );
    // @ts-expect-error of an outer join, either side may be missing
    rooms.join('outer', rooms, { ...codecs, kind: 'outer' }, (a: string, b: string) => a + b);
    // @ts-expect-error nor do they merge
    devices.merge(rooms);
    // @ts-expect-error the left side's codec is one of numbers
    rooms.join('bad-codec', names.changes(), { ...codecs, left: numberCodec }, (a) => a);
    // @ts-expect-error values that are keyed by room are not by device
    const wrong: Stream<string, DeviceId> = rooms;
    void wrong;
  });
});
