import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { FleetcastError, messageOf } from '../../errors.ts';
import type { StateRange } from '../../topology/state-reader.ts';
import { pageFiles } from '../page/files.ts';
import { type DeviceQuery, devicePage, seriesDetail } from '../view/queries.ts';
import { authorise, requireToken } from './access.ts';
import { Broadcast } from './live.ts';
import type { PageSource, TrainingWish } from './page-source.ts';

export interface HttpOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Takes a free port where `port` is taken. */
  readonly anyPort?: boolean;
  /** Callers must bring it; without one the server listens on loopback only. */
  readonly token?: string;
  readonly source: PageSource;
  readonly now: () => number;
  readonly onEvent?: (event: { readonly message: string }) => void;
}

export interface HttpServer {
  readonly url: string;
  close(): Promise<void>;
}

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
} as const;

/** @throws CONFIG_INVALID for an address that others can reach without a token; HTTP_FAILED where the port is taken. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port, token, source } = options;
  requireToken(host, token);
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 64 * 1024 });
  const live = new Broadcast(source, options.now);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    const refused = authorise(request, token, host);
    if (refused === undefined) return;
    if (refused.cookie !== undefined) {
      return reply.header('set-cookie', refused.cookie).redirect(here(request), 303);
    }
    return reply.code(refused.code).send({ error: refused.error });
  });
  app.setErrorHandler((error, _request, reply) => {
    const code = (error as { statusCode?: number }).statusCode ?? 500;
    if (code >= 500) options.onEvent?.({ message: messageOf(error) });
    return reply.code(code).send({ error: messageOf(error) });
  });
  addRoutes(app, source, live, options.now);
  addActions(app, source, token !== undefined);
  addState(app, source);
  try {
    await listen(app, host, port, options.anyPort ?? false);
  } catch (cause) {
    live.close();
    throw new FleetcastError('HTTP_FAILED', `cannot listen on ${host}:${port}: ${messageOf(cause)}`, { cause });
  }
  const address = app.addresses()[0] as AddressInfo;
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}`,
    close: async () => {
      live.close();
      await app.close();
    },
  };
}

/** The address without its query, on this server: two slashes at its beginning would lead to another one. */
function here({ url }: FastifyRequest): string {
  return (url.split('?')[0] ?? '/').replace(/^[/\\]*/, '/');
}

function addRoutes(app: FastifyInstance, source: PageSource, live: Broadcast, now: () => number): void {
  for (const [path, { type, body }] of pageFiles()) {
    app.get(path, (_request, reply) => reply.header('cache-control', 'no-cache').type(type).send(body));
  }
  app.get('/health', (_request, reply) => {
    const { health } = source.status();
    return reply.code(health.status === 'stuck' ? 503 : 200).send(health);
  });
  // For a load balancer or an orchestrator that asks whether records go on now; /health is red only where it takes help.
  app.get('/ready', (_request, reply) => {
    const { health } = source.status();
    return reply.code(health.status === 'ok' || health.status === 'idle' ? 200 : 503).send(health);
  });
  app.get('/metrics', async (_request, reply) => {
    const { type, body } = await source.metrics();
    return reply.type(type).send(body);
  });
  app.get('/api/status', () => source.status());
  app.get('/api/topology', () => source.describe());
  app.get('/api/devices', (request) => devicePage(source.view, deviceQuery(request), now()));
  app.get('/api/series', (request, reply) => {
    const { device, quantity, points } = request.query as Record<string, string | undefined>;
    const detail = seriesDetail(source.view, device ?? '', quantity ?? '', count(points, 240, 1, 2_000));
    return detail ?? reply.code(404).send({ error: `no series ${device ?? ''}/${quantity ?? ''}` });
  });
  app.get('/api/dead-letters', (request) => {
    const { limit } = request.query as Record<string, string | undefined>;
    return source.view.deadLetters
      .slice(-count(limit, 50, 1, 200))
      .reverse()
      .map(({ payload, ...letter }) => ({ ...letter, payload: Buffer.from(payload).toString('utf8') }));
  });
  let explaining = false;
  app.get('/api/explain', async (request, reply) => {
    const { device = '', quantity = '' } = request.query as Record<string, string | undefined>;
    if (explaining) return reply.code(503).send({ error: 'another forecast is being explained' });
    explaining = true;
    try {
      return await source.explain(device, quantity);
    } catch (error) {
      if (!(error instanceof FleetcastError)) throw error;
      return reply.code(404).send({ code: error.code, error: error.message });
    } finally {
      explaining = false;
    }
  });
  app.get('/api/alerts', () => source.view.alerts.slice(-50).reverse());
  app.get('/api/model-events', () => source.view.modelEvents.slice(-50).reverse());
  app.get('/api/live', (request: FastifyRequest, reply: FastifyReply) => {
    const { device, quantity } = request.query as Record<string, string | undefined>;
    reply.hijack();
    live.add(reply.raw, device ?? '', quantity ?? '');
  });
}

/** What changes something: only where there is a token, and so a caller who has brought it. */
function addActions(app: FastifyInstance, source: PageSource, allowed: boolean): void {
  app.get('/api/models', async () => {
    const baselines = ['last-value', 'seasonal-naive'].map((name) => source.view.models.track(name));
    const { driftSince } = source.status().training;
    const models = await source.models();
    return { actions: allowed, driftSince, models, baselines: baselines.filter((track) => track !== undefined) };
  });
  app.get('/api/models/:id', async (request, reply) => {
    const { id } = request.params as { id: string };
    const found = (await source.models()).filter((model) => model.id.startsWith(id));
    return found.length === 1 ? found[0] : reply.code(404).send({ error: `no model, or several, begin with ${id}` });
  });
  const action = (path: string, act: (body: Record<string, unknown>) => Promise<string>) =>
    app.post(path, async (request, reply) => {
      if (!allowed) return reply.code(403).send({ error: 'models are changed over HTTP only where http.token is set' });
      try {
        return { id: await act((request.body ?? {}) as Record<string, unknown>) };
      } catch (error) {
        if (!(error instanceof FleetcastError)) throw error;
        return reply.code(statusOf(error)).send({ code: error.code, error: error.message });
      }
    });
  action('/api/models/promote', (body) => source.promote(modelIn(body), reasonIn(body)));
  action('/api/models/retire', (body) => source.retire(modelIn(body), reasonIn(body)));
  action('/api/models/train', (body) => source.train(trainingWish(body), reasonIn(body)));
  action('/api/models/rollback', (body) => source.rollBack(reasonIn(fieldsOf(body, []))));
}

/** State by key, or by range: keys `from` ≤ key < `to` in order, at most `limit` of them. */
function addState(app: FastifyInstance, source: PageSource): void {
  const read = async (reply: FastifyReply, look: () => Promise<unknown>) => {
    try {
      const value = await look();
      return value === undefined ? reply.code(404).send({ error: 'nothing here for this key' }) : plain(value);
    } catch (error) {
      if (!(error instanceof FleetcastError)) throw error;
      return reply.code(error.retryable ? 503 : 400).send({ code: error.code, error: error.message });
    }
  };
  app.get('/api/state/:node/:store/:key', (request, reply) => {
    const { node, store, key } = request.params as Record<'node' | 'store' | 'key', string>;
    return read(reply, () => source.state(node, store).get(key));
  });
  app.get('/api/state/:node/:store', (request, reply) => {
    const { node, store } = request.params as Record<'node' | 'store', string>;
    const { from, to, limit } = request.query as Record<string, string | undefined>;
    const range = { limit: count(limit, 100, 1, 1_000), ...defined({ from, to }) };
    return read(reply, () => source.state(node, store).range(range));
  });
}

function defined(fields: { from: string | undefined; to: string | undefined }): StateRange {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function statusOf({ code, retryable }: FleetcastError): number {
  if (retryable) return 503;
  return code === 'MODEL_UNKNOWN' ? 404 : code === 'USAGE' ? 400 : 409;
}

/** @throws USAGE for a field that is none of these: one that is misspelt must not be passed over */
function fieldsOf(body: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  const allowed = [...names, 'reason'];
  const other = Object.keys(body).find((name) => !allowed.includes(name));
  if (other === undefined) return body;
  throw new FleetcastError('USAGE', `unknown field ${other}; allowed are ${allowed.join(', ')}`);
}

/** @throws USAGE */
function modelIn(body: Record<string, unknown>): string {
  const { id } = fieldsOf(body, ['id']);
  if (typeof id === 'string' && id !== '') return id;
  throw new FleetcastError('USAGE', 'id names the model: its id or the beginning of it');
}

function reasonIn({ reason }: Record<string, unknown>): string {
  return typeof reason === 'string' && reason !== '' ? `${reason.slice(0, 500)} (over HTTP)` : 'by hand, over HTTP';
}

/** @throws USAGE for fields that are not what they must be */
function trainingWish(body: Record<string, unknown>): TrainingWish {
  const { series, from, to } = fieldsOf(body, ['series', 'from', 'to']);
  const at = (name: string, value: unknown): number | undefined => {
    if (value === undefined) return undefined;
    const time = typeof value === 'number' ? value : Date.parse(String(value));
    if (!Number.isFinite(time)) throw new FleetcastError('USAGE', `${name} is no time`);
    return time;
  };
  if (series !== undefined && !(Array.isArray(series) && series.every((key) => typeof key === 'string'))) {
    throw new FleetcastError('USAGE', 'series is a list of device/quantity');
  }
  const [begin, end] = [at('from', from), at('to', to)];
  return {
    ...(series === undefined ? {} : { series: series as string[] }),
    ...(begin === undefined ? {} : { from: begin }),
    ...(end === undefined ? {} : { to: end }),
  };
}

/** Maps and typed arrays as JSON; bytes as base64. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>);
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
  }
  return value;
}

function deviceQuery(request: FastifyRequest): DeviceQuery {
  const given = request.query as Record<string, string | undefined>;
  const oneOf = <T extends string>(value: string | undefined, allowed: readonly T[], otherwise: T): T =>
    allowed.find((each) => each === value) ?? otherwise;
  return {
    search: (given['search'] ?? '').slice(0, 200),
    status: oneOf(given['status'], ['live', 'quiet', 'waiting', 'alerting', ''], ''),
    sort: oneOf(given['sort'], ['name', 'seen', 'alerts'], 'name'),
    page: count(given['page'], 1, 1, 1_000_000),
    size: count(given['size'], 25, 1, 200),
  };
}

function count(text: string | undefined, otherwise: number, min: number, max: number): number {
  const value = Number.parseInt(text ?? '', 10);
  return Number.isNaN(value) ? otherwise : Math.min(max, Math.max(min, value));
}

async function listen(app: FastifyInstance, host: string, port: number, anyPort: boolean): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    if (!anyPort || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    await app.listen({ host, port: 0 });
  }
}
