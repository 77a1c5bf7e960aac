import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import type { CleanUps } from '../../../test/bridge-kit.ts';
import { hasOpenssl, makeCertificates } from '../../../test/certificates.ts';
import { startBroker } from '../broker/broker.ts';
import { connectPublisher } from './publisher.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((own) => own?.some(({ address }) => address === '::1'));
const cleanUps: CleanUps = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

it.skipIf(!hasOpenssl).each(['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])])(
  'speaks TLS to %s, whose certificate names the address',
  async (host) => {
    const made = makeCertificates();
    cleanUps.push(async () => made.remove());
    const warnings: string[] = [];
    const onWarning = (warning: Error) => warnings.push(warning.message);
    process.on('warning', onWarning);
    cleanUps.push(async () => process.off('warning', onWarning));
    const broker = await startBroker({ host, port: 0, tls: made.server });
    cleanUps.push(() => broker.close());
    const publisher = await connectPublisher({ url: broker.url, tls: { ca: made.ca }, connectTimeoutMs: 5_000 });
    cleanUps.push(() => publisher.end(500));
    await publisher.publish('a', 'b');
    await publisher.flush();
    expect(publisher.acknowledged).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings.filter((message) => message.includes('ServerName'))).toEqual([]);
    await expect(
      connectPublisher({ url: broker.url, tls: { ca: made.otherCa }, connectTimeoutMs: 500 }),
    ).rejects.toMatchObject({ code: 'BRIDGE_CONNECT' });
  },
);

it.skipIf(!hasIpv6)('opens a WebSocket to an IPv6 address', async () => {
  const asked: (string | undefined)[] = [];
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    asked.push(`${request.headers.host}${request.url}`);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '::1', resolve));
  cleanUps.push(async () => server.close());
  const place = `[::1]:${(server.address() as AddressInfo).port}/mqtt`;
  await expect(connectPublisher({ url: `ws://${place}`, connectTimeoutMs: 5_000 })).rejects.toMatchObject({
    code: 'BRIDGE_CONNECT',
  });
  expect(asked[0]).toBe(place);
});
