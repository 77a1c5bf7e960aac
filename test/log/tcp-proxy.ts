import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** One connection through the proxy, for those who watch. */
export interface Connection {
  /** The client finds itself cut off, while what it has sent may still come to the broker. */
  loseClient(): void;
  /** Sends to the broker, if that still listens. */
  toBroker(data: Buffer): void;
}

/**
 * A TCP proxy before one address, whose connections can be cut, delayed and frozen. Clients reach the broker through it
 * only where the broker advertises the proxy's port.
 */
export class TcpProxy {
  readonly port: number;
  readonly #target: number;
  readonly #pairs = new Set<[Socket, Socket]>();
  #server: Server | undefined;
  #delayMs = 0;
  #frozen = false;
  /** Connections taken so far. */
  taken = 0;
  /** Looks at what comes from clients, piece by piece; what it gives, if anything, goes on instead, when it is there. */
  watch: ((data: Buffer, connection: Connection) => Promise<Buffer | undefined> | undefined) | undefined;

  constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  async start(): Promise<void> {
    const server = createServer((client) => this.#take(client));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  /** Ends all connections, as a reset where `hard`. */
  cut(hard: boolean): void {
    for (const [client, broker] of this.#pairs) {
      if (hard) client.resetAndDestroy();
      else client.destroy();
      broker.destroy();
    }
  }

  /** Holds every piece of data back for so long; 0 ends it. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Lets nothing through, and tells nobody: as a cable that is pulled. */
  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    // What was swallowed is gone: the connections of that time are of no more use.
    if (!frozen) this.cut(true);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.cut(false);
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #take(client: Socket): void {
    this.taken++;
    const broker = createConnection(this.#target, '127.0.0.1');
    const pair: [Socket, Socket] = [client, broker];
    this.#pairs.add(pair);
    let lost = false;
    const connection: Connection = {
      loseClient: () => {
        lost = true;
        client.resetAndDestroy();
      },
      toBroker: (data) => void broker.write(data),
    };
    const end = (): void => {
      if (lost && client.destroyed && !broker.destroyed) return;
      this.#pairs.delete(pair);
      client.destroy();
      broker.destroy();
    };
    for (const [from, to] of [
      [client, broker],
      [broker, client],
    ] as const) {
      let last = Promise.resolve();
      from.on('data', (data) => {
        if (this.#frozen) return;
        const ms = this.#delayMs;
        const watched = from === client ? this.watch?.(data, connection) : undefined;
        last = last.then(async () => {
          if (watched !== undefined) {
            const instead = await watched;
            if (instead !== undefined && !to.destroyed) to.write(instead);
            return;
          }
          if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
          if (!to.destroyed) to.write(data);
        });
      });
      from.on('error', end);
      from.on('close', end);
    }
  }
}
