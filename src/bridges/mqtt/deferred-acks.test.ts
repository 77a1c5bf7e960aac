import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { connectAsync } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/bridge-kit.ts';
import { acknowledge, deferAcknowledgements, isDeferral, type Receipt } from './deferred-acks.ts';

const cleanUps: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

/** A broker of a few bytes: accepts, and lets the test send and see what it likes. */
async function bareBroker(version: 4 | 5) {
  const sockets: Socket[] = [];
  const got: number[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    let greeted = false;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      if (greeted) got.push(...data);
      else socket.write(Buffer.from(version === 5 ? [0x20, 3, 1, 0, 0] : [0x20, 2, 1, 0]));
      greeted = true;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const publish = (qos: 1 | 2, id: number) => {
    const body = [0, 1, 0x61, id >> 8, id & 255, ...(version === 5 ? [0] : []), 0x78];
    sockets.at(-1)!.write(Buffer.from([0x30 | (qos << 1), body.length, ...body]));
  };
  return { port, sockets, got, publish };
}

describe.each([4, 5] as const)('deferred acknowledgement, protocol version %i', (version) => {
  it('sends nothing until it is told to, then PUBACK, PUBREC and PUBCOMP', async () => {
    const broker = await bareBroker(version);
    const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
      protocolVersion: version,
      clean: false,
      clientId: 'bridge',
    });
    cleanUps.push(() => client.endAsync(true));
    const errors: Error[] = [];
    client.on('error', (error) => {
      if (!isDeferral(error)) errors.push(error);
    });
    const receipts: Receipt[] = [];
    deferAcknowledgements(client, (message, receipt) => {
      expect(message).toMatchObject({ topic: 'a', retained: false, duplicate: false });
      receipts.push(receipt);
      return undefined;
    });
    broker.publish(1, 0x0102);
    broker.publish(2, 0x0103);
    broker.publish(1, 0xffff);
    await until('received', () => receipts.length === 3);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(broker.got).toEqual([]);

    expect(acknowledge(client, receipts)).toBe(3);
    await until('acknowledged', () => broker.got.length === 12);
    expect(broker.got.splice(0)).toEqual([0x40, 2, 1, 2, 0x50, 2, 1, 3, 0x40, 2, 0xff, 0xff]);
    // The second half of QoS 2 is answered by itself.
    broker.sockets[0]!.write(Buffer.from([0x62, 2, 1, 3]));
    await until('completed', () => broker.got.length >= 4);
    // With MQTT 5 mqtt.js adds the reason code and an empty list of properties.
    expect([broker.got[0], broker.got[2], broker.got[3]]).toEqual([0x70, 1, 3]);
    expect(errors).toEqual([]);
  });

  it('never acknowledges over another connection', async () => {
    const broker = await bareBroker(version);
    const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
      protocolVersion: version,
      clean: false,
      clientId: 'bridge',
      reconnectPeriod: 5,
    });
    cleanUps.push(() => client.endAsync(true));
    const receipts: Receipt[] = [];
    deferAcknowledgements(client, (_message, receipt) => {
      receipts.push(receipt);
      return undefined;
    });
    broker.publish(1, 7);
    await until('received', () => receipts.length === 1);
    broker.sockets[0]!.destroy();
    await until('back', () => client.connected && broker.sockets.length === 2);
    expect(acknowledge(client, receipts)).toBe(0);
    broker.publish(1, 7);
    await until('again', () => receipts.length === 2);
    expect(acknowledge(client, receipts)).toBe(1);
    await until('acknowledged', () => broker.got.length === 4);
  });
});

describe('mqtt.js', () => {
  it('is the version that this was written for', () => {
    const path = createRequire(import.meta.url).resolve('mqtt/package.json');
    expect((JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version).toBe('5.16.0');
    const own = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    expect(own.dependencies['mqtt']).toBe('5.16.0');
  });
});
