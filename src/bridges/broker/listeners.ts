import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { FleetcastError, messageOf } from '../../errors.ts';

/** Files in PEM. */
export interface BrokerTls {
  readonly certificate: string;
  readonly key: string;
  /** Clients must bring a certificate that this authority has signed. */
  readonly clientCa?: string;
}

/**
 * A server for plain connections, or for TLS.
 *
 * @throws BROKER_FAILED for a certificate or key that cannot be used, naming the file.
 */
export function createListener(tls: BrokerTls | undefined, onSocket: (socket: Socket) => void): Server {
  if (tls === undefined) return createServer(onSocket);
  const ca = tls.clientCa === undefined ? undefined : pem(tls.clientCa, 'client authority');
  try {
    return createTlsServer(
      {
        cert: pem(tls.certificate, 'certificate'),
        key: pem(tls.key, 'key'),
        handshakeTimeout: 10_000,
        ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }),
      },
      onSocket,
    );
  } catch (cause) {
    if (cause instanceof FleetcastError) throw cause;
    throw new FleetcastError('BROKER_FAILED', `the broker's certificate or key: ${messageOf(cause)}`, { cause });
  }
}

/** Listens, on a free port where the wanted one is taken and that is allowed. @throws BROKER_FAILED. */
export async function listen(server: Server, host: string, port: number, anyPort: boolean): Promise<number> {
  try {
    await tryListen(server, host, port);
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (!taken || !anyPort) {
      throw new FleetcastError('BROKER_FAILED', `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
        cause: error,
        details: { host, port },
      });
    }
    await tryListen(server, host, 0);
  }
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

function tryListen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

function pem(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new FleetcastError('BROKER_FAILED', `cannot read the broker's ${what} ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
