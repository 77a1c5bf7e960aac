import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/bridge-kit.ts';
import type { Subscription } from '../mapping/subscriptions.ts';
import { acknowledge, deferAcknowledgements, isDeferral, type Receipt } from '../mqtt/deferred-acks.ts';
import { type Broker, type BrokerOptions, startBroker } from './broker.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

async function broker(keeps: readonly Subscription[], options: BrokerOptions = {}): Promise<Broker> {
  const own = [{ clientId: 'bridge', password: 'secret', keeps }];
  const started = await startBroker({ port: 0, own, ...options });
  cleanUps.push(() => started.close());
  return started;
}

async function device(running: Broker, options: IClientOptions = {}): Promise<MqttClient> {
  const connected = await connectAsync(running.url, { protocolVersion: 4, reconnectPeriod: 0, ...options }, false);
  connected.on('error', () => {});
  cleanUps.push(() => connected.endAsync(true));
  return connected;
}

/** A session that acknowledges when it is told to. */
async function bridge(running: Broker, options: IClientOptions = {}) {
  const receipts: Receipt[] = [];
  const seen: string[] = [];
  const client = await device(running, {
    clientId: 'bridge',
    username: 'bridge',
    password: 'secret',
    clean: false,
    manualConnect: false,
    ...options,
  });
  client.on('error', (error) => {
    if (!isDeferral(error)) throw error;
  });
  deferAcknowledgements(client, ({ topic, payload }, receipt) => {
    receipts.push(receipt);
    seen.push(`${topic} ${Buffer.from(payload).toString()}`);
    return undefined;
  });
  return { client, seen, acknowledge: (count: number) => acknowledge(client, receipts.splice(0, count)) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 50));

describe.each([1, 2] as const)('messages of QoS %i for a session that must lose nothing', (qos) => {
  it('are acknowledged when that session has acknowledged them, in order, and pings meanwhile', async () => {
    const running = await broker([{ filter: 'fleet/#', qos }]);
    const taker = await bridge(running);
    const publisher = await device(running, { keepalive: 1 });
    const acknowledged: number[] = [];
    for (let i = 0; i < 5; i++) {
      publisher.publish('fleet/a', String(i), { qos }, (error) => {
        if (!error) acknowledged.push(i);
      });
    }
    await until('all are at the session', () => taker.seen.length === 5);
    // Longer than the keepalive: whose pings are not answered is gone by now.
    await new Promise((resolve) => setTimeout(resolve, 1_700));
    expect({ acknowledged, connected: publisher.connected }).toEqual({ acknowledged: [], connected: true });
    expect(running.status().unacknowledged).toBe(5);
    taker.acknowledge(2);
    await until('two', () => acknowledged.length === 2);
    await settled();
    expect(acknowledged).toEqual([0, 1]);
    taker.acknowledge(3);
    await until('all', () => acknowledged.length === 5);
    expect(acknowledged).toEqual([0, 1, 2, 3, 4]);
    expect(running.status()).toMatchObject({ unacknowledged: 0, published: 5 });
  });

  it('wait for a session that is not there yet, and are the same message when they are sent again', async () => {
    const running = await broker([{ filter: 'fleet/#', qos }], { ackTimeoutMs: 300 });
    const publisher = await device(running, { clientId: 'd', clean: false, reconnectPeriod: 50 });
    let done = 0;
    publisher.publish('fleet/a', 'x', { qos }, () => done++);
    publisher.publish('fleet/b', 'y', { qos }, () => done++);
    await until('disconnected twice', () => (running.status().refused['not-durable-in-time'] ?? 0) >= 2);
    expect(done).toBe(0);
    expect(running.status().unacknowledged).toBe(2);
    const taker = await bridge(running);
    await until('both', () => taker.seen.length === 2);
    await settled();
    expect(taker.seen).toEqual(['fleet/a x', 'fleet/b y']);
    // Where the answer meets a connection that has just ended, the device sends once more, and that is a new message.
    await until('acknowledged', () => {
      taker.acknowledge(10);
      return done === 2 && running.status().unacknowledged === 0;
    });
  });
});

describe('held acknowledgements', () => {
  it('are for what the session gets only', async () => {
    const running = await broker([{ filter: 'fleet/#', qos: 1 }]);
    const publisher = await device(running);
    const listener = await device(running);
    const heard: string[] = [];
    listener.on('message', (topic) => heard.push(topic));
    await listener.subscribeAsync('#', { qos: 1 });
    await publisher.publishAsync('other/a', 'x', { qos: 1 });
    await publisher.publishAsync('other/a', 'x', { qos: 2 });
    await publisher.publishAsync('fleet/a', 'x', { qos: 0 });
    publisher.publish('fleet/a', 'x', { qos: 1 });
    await until('heard by the other', () => heard.length === 4);
    expect(running.status().unacknowledged).toBe(1);
  });

  it('come once where the filters of the session overlap', async () => {
    const keeps = ['fleet/+/x', 'fleet/a/+', 'fleet/a/x/#'].map((filter) => ({ filter, qos: 1 as const }));
    const running = await broker(keeps);
    const taker = await bridge(running);
    const publisher = await device(running);
    const all = Array.from({ length: 200 }, (_, i) => publisher.publishAsync('fleet/a/x', String(i), { qos: 1 }));
    await until('all', () => taker.seen.length >= 200);
    await settled();
    expect(taker.seen).toHaveLength(200);
    taker.acknowledge(200);
    await Promise.all(all);
    expect(running.status().unacknowledged).toBe(0);
  });

  it('belong to that session: nobody else may take its name', async () => {
    const running = await broker([{ filter: 'fleet/#', qos: 1 }]);
    await bridge(running);
    for (const password of [undefined, 'wrong']) {
      const stolen = { clientId: 'bridge', username: 'bridge', ...(password === undefined ? {} : { password }) };
      await expect(device(running, stolen)).rejects.toThrow();
    }
    expect(running.status().refused['reserved-client-id']).toBe(2);
  });

  it('do not grow for a client that never sends PUBREL', async () => {
    const running = await broker([{ filter: 'fleet/#', qos: 1 }]);
    const taker = await bridge(running);
    const publisher = await device(running);
    const inner = publisher as unknown as { _onPubrec?: unknown; _sendPacket: (packet: { cmd: string }) => void };
    const send = inner._sendPacket.bind(publisher);
    inner._sendPacket = (packet) => {
      if (packet.cmd !== 'pubrel') send(packet);
    };
    const closed = new Promise<void>((resolve) => publisher.once('close', () => resolve()));
    for (let i = 0; i < 1_200; i++) publisher.publish('fleet/a', String(i), { qos: 2 });
    await closed;
    expect(taker.seen.length).toBeLessThanOrEqual(1_000);
    expect(running.status().refused['protocol-error']).toBe(1);
  });
});
