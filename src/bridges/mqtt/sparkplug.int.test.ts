import { afterEach, describe, expect, it } from 'vitest';
import { bridgeTopics, readingsOf, TOPICS, until } from '../../../test/bridge-kit.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { startBroker } from '../broker/broker.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { encodePayload } from '../sparkplug/payload.ts';
import { MqttBridge } from './bridge.ts';
import { MqttSession } from './session.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

describe('Sparkplug B over a real socket', () => {
  it('keeps aliases over a restart of the bridge, and asks for births that it has missed', async () => {
    const log = new MemoryLog();
    cleanUps.push(() => log.close());
    await bridgeTopics(log);
    await log.ensureTopics([{ name: 'bridge-memory', partitions: 1, cleanup: 'compact' }]);
    const broker = await startBroker({ port: 0 });
    cleanUps.push(() => broker.close());
    const commands: string[] = [];
    const node = new MqttSession({
      url: broker.url,
      clientId: 'edge',
      subscriptions: [{ filter: 'spBv1.0/plant/NCMD/#', qos: 0 }],
      onMessage: ({ topic }) => {
        commands.push(topic);
        return undefined;
      },
    });
    cleanUps.push(() => node.end());
    await node.ready();
    const send = (topic: string, metrics: readonly object[], seq: number) => {
      const payload = encodePayload({ timestamp: Date.now(), seq, metrics });
      return node.publish(`spBv1.0/plant/${topic}`, payload, { qos: 1, retain: false });
    };
    const start = async () => {
      const bridge = new MqttBridge({
        log,
        mapping: compileMapping({ rules: [{ preset: 'sparkplug' }] }),
        connection: { url: broker.url },
        topics: { ...TOPICS, memory: 'bridge-memory' },
        now: Date.now,
        tickMs: 0,
      });
      await bridge.start();
      cleanUps.push(() => bridge.stop());
      await bridge.ready();
      return bridge;
    };
    const seen = async () => (await readingsOf(log)).map(({ device, values }) => [device, values]);

    const first = await start();
    await send('NBIRTH/edge', [{ name: 'load', alias: 1, datatype: 1, intValue: 0xff }], 0);
    await until('the birth', async () => (await seen()).length === 1);
    await first.stop();

    await start();
    await send('NDATA/edge', [{ alias: 1, intValue: 0xfe }], 9);
    await until('the data', async () => (await seen()).length === 2);
    expect(await seen()).toEqual([
      ['plant/edge', { load: -1 }],
      ['plant/edge', { load: -2 }],
    ]);
    expect(commands).toEqual([]);

    await send('NDATA/other', [{ alias: 1, intValue: 0 }], 9);
    await until('the request', () => commands.length > 0);
    expect(commands).toEqual(['spBv1.0/plant/NCMD/other']);
  });
});
