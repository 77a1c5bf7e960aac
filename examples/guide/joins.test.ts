import { expect, it } from 'vitest';
import { jsonCodec, type SourceCodec, TopologyBuilder, TopologyTestDriver } from '../../src/index.ts';

const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});

interface Reading {
  readonly temperature: number;
}
interface Device {
  readonly room: string;
  readonly offset: number;
}
const codec: SourceCodec<Reading> = { decode: () => ({ kind: 'skip', reason: 'unused' }) };

it('joins with a table and goes on by another key', () => {
  // region joins
  type DeviceId = string & { readonly device: true };
  type RoomId = string & { readonly room: true };

  const builder = new TopologyBuilder('rooms');
  const readings = builder.source<Reading, DeviceId>('readings', { topic: 'readings', codec });
  const devices = builder.table<Device, DeviceId>('devices', { topic: 'devices', codec: jsonCodec() });

  const corrected = readings.joinTable('correct', devices, ({ temperature }, { room, offset }) => {
    return { room, temperature: temperature + offset };
  });
  const { hot, normal } = corrected.split('by-heat', {
    hot: ({ temperature }) => temperature > 30,
    normal: () => true,
  });
  hot.sink('alarms', { topic: 'alarms', encode });
  normal
    .keyBy('by-room', ({ room }) => room as RoomId)
    .map('temperature', ({ temperature }) => temperature)
    .sink('rooms', { topic: 'rooms', encode });
  // endregion
  const driver = new TopologyTestDriver(builder.build());
  driver.pipeBytes('devices', 'd1', Buffer.from('{"room":"kitchen","offset":-1}'), 1);
  driver.pipe('readings', 'd1', { temperature: 21 }, 2);
  driver.pipe('readings', 'd1', { temperature: 40 }, 3);
  driver.pipe('readings', 'unknown', { temperature: 21 }, 3);
  expect(driver.records('rooms').map(({ key, value }) => [key, value])).toEqual([['kitchen', 20]]);
  expect(driver.records('alarms').map(({ key }) => key)).toEqual(['d1']);
  expect(driver.counts.get('correct', 'no-row')).toBe(1);
});
