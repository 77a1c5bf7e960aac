import { type EventCode, type NextEventConfig, NextEventForecast } from '../../src/operators/next-event.ts';
import { TopologyBuilder } from '../../src/topology/builder.ts';
import { type TestDriverOptions, TopologyTestDriver } from '../../src/topology/test-driver.ts';

/** A topology from `events` to `next`: what each device is expected to report next. */
export function nextEvents(config: NextEventConfig, options: TestDriverOptions = {}): TopologyTestDriver {
  const builder = new TopologyBuilder('next-events');
  builder
    .source<EventCode>('events', { topic: 'events', codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) } })
    .process('expect', () => new NextEventForecast(config))
    .sink('next', { topic: 'next', encode: () => ({ key: null, value: null }) });
  return new TopologyTestDriver(builder.build(), options);
}
