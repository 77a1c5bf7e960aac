import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../../test/bridge-kit.ts';
import { connectPublisher, type Publisher } from '../bridges/mqtt/publisher.ts';
import { encodePayload } from '../bridges/sparkplug/payload.ts';
import type { EventLog } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { parseConfiguration } from './configuration/load.ts';
import { createLogger } from './logging/logger.ts';
import { type Service, startService } from './service.ts';

let log: EventLog;
let service: Service;
let publisher: Publisher;
const start = () =>
  startService({
    configuration: {
      ...parseConfiguration(
        'broker: {embedded: {port: 0}}\nhttp: {port: 0}\nlearner: {enabled: false}\nmapping: {rules: [{preset: sparkplug}]}',
        'test',
      ),
      file: undefined,
      folder: '.',
    },
    logger: createLogger({ level: 'silent' }),
    log,
  });
beforeAll(async () => {
  log = new MemoryLog();
  service = await start();
  publisher = await connectPublisher({ url: service.brokerUrl, protocol: '3.1.1' });
});
afterAll(async () => {
  await publisher?.end();
  await service?.stop();
  await log?.close();
});

it('shows the devices that a death made stale, also after a restart', async () => {
  const send = (topic: string, seq: number, metrics: readonly object[]) =>
    publisher.publish(`spBv1.0/plant/${topic}`, encodePayload({ timestamp: 1_700_000_000_000, seq, metrics }));
  const bdSeq = { name: 'bdSeq', datatype: 8, longValue: 3 };
  await send('NBIRTH/edge', 0, [bdSeq, { name: 'load', datatype: 10, doubleValue: 1 }]);
  await send('DBIRTH/edge/press', 1, [{ name: 't', datatype: 10, doubleValue: 1 }]);
  await until('two are online', () => service.status().bridge?.presence?.online === 2);
  await send('NDEATH/edge', 0, [bdSeq]);
  const gone = () => service.status().bridge?.presence;
  const wanted = {
    online: 0,
    offline: 2,
    gone: ['plant/edge', 'plant/edge/press'].map((device) => ({ device, since: 1_700_000_000_000 })),
  };
  await until('both are gone', () => gone()?.offline === 2);
  expect(gone()).toEqual(wanted);
  const page = await (await fetch(`${service.pageUrl}/metrics`)).text();
  expect(page).toContain('fleetcast_devices_presence{state="offline"} 2');

  await publisher.end();
  await service.stop();
  service = await start();
  expect(gone()).toEqual(wanted);
});
