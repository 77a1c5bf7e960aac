import fastify, { type FastifyInstance } from 'fastify';
import { FleetcastError, messageOf } from '../../errors.ts';
import type { Health } from '../status.ts';

/**
 * Answers at the page's address while the service cannot start yet: `/health` with 200, because a restart would not help,
 * all else with 503, and both with the reason.
 */
export class WaitingRoom {
  readonly #host: string;
  readonly #port: number;
  #app: FastifyInstance | undefined;
  #health: Health = { status: 'starting', problems: [] };

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  /** What the service waits for. */
  tell(problem: string): void {
    this.#health = { status: 'degraded', problems: [problem] };
  }

  /** @throws HTTP_FAILED where the port is taken. */
  async open(): Promise<void> {
    if (this.#app !== undefined) return;
    const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1024 });
    app.get('/health', () => this.#health);
    app.setNotFoundHandler((_request, reply) => reply.code(503).send(this.#health));
    this.#app = app;
    try {
      await app.listen({ host: this.#host, port: this.#port });
    } catch (cause) {
      await this.close();
      const where = `${this.#host}:${this.#port}`;
      throw new FleetcastError('HTTP_FAILED', `cannot listen on ${where}: ${messageOf(cause)}`, { cause });
    }
  }

  async close(): Promise<void> {
    const app = this.#app;
    this.#app = undefined;
    await app?.close();
  }
}
