import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { FleetcastError, messageOf } from '../../errors.ts';

export interface RegistryOptions {
  /**
   * Base addresses of a registry with the interface that Confluent, Karapace and Apicurio share, such as
   * `http://registry:8081` or `http://apicurio:8080/apis/ccompat/v7`; the next is asked where one does not answer.
   */
  readonly urls: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** Bearer token, in place of user and password. */
  readonly token?: string;
  /** Certificates of authorities to trust, as PEM text. */
  readonly ca?: string;
  /** One request may take so long. Default 10,000. */
  readonly timeoutMs?: number;
  /** How long a call goes on trying while no registry answers. Default 30,000. */
  readonly retryMs?: number;
}

const TYPE = 'application/vnd.schemaregistry.v1+json';
const PAUSE_MS = 200;
const MAX_PAUSE_MS = 5000;
/** Of an answer; no schema comes near it. */
const MAX_BYTES = 4 * 2 ** 20;
const NOT_FOUND = 404;
const CONFLICT = 409;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** The part of the REST interface of schema registries that is needed here. What was found is kept: ids do not change. */
export class RegistryClient {
  readonly #options: RegistryOptions;
  readonly #schemas = new Map<number, string>();
  readonly #ids = new Map<string, number>();
  #current = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /**
   * The Avro schema of an id; undefined where there is none or it is of another kind.
   * @throws REGISTRY_UNAVAILABLE, REGISTRY_REFUSED
   */
  async schema(id: number): Promise<string | undefined> {
    const known = this.#schemas.get(id);
    if (known !== undefined) return known;
    const { status, body } = await this.#ask('GET', `/schemas/ids/${id}`);
    if (status === NOT_FOUND) return undefined;
    const { schema, schemaType = 'AVRO' } = body as { schema?: unknown; schemaType?: unknown };
    if (typeof schema !== 'string' || schemaType !== 'AVRO') return undefined;
    this.#schemas.set(id, schema);
    return schema;
  }

  /**
   * Registers a schema, or finds it registered.
   * @throws REGISTRY_INCOMPATIBLE where the subject's rule forbids it, REGISTRY_UNAVAILABLE, REGISTRY_REFUSED
   */
  async register(subject: string, schema: string): Promise<number> {
    return this.#once(subject, schema, async () => {
      const { status, body } = await this.#ask('POST', `/subjects/${encodeURIComponent(subject)}/versions`, { schema });
      if (status === CONFLICT) {
        const reasons = await this.incompatibilities(subject, schema).catch(() => []);
        const why = reasons.join('; ') || messageIn(body);
        throw new FleetcastError('REGISTRY_INCOMPATIBLE', `subject ${subject}: ${why}`, { details: { subject } });
      }
      return idFrom(status, body, subject);
    });
  }

  /** The id of a schema that is registered already, or undefined. @throws as {@link register} */
  async find(subject: string, schema: string): Promise<number | undefined> {
    try {
      return await this.#once(subject, schema, async () => {
        const { status, body } = await this.#ask('POST', `/subjects/${encodeURIComponent(subject)}`, { schema });
        if (status === NOT_FOUND) throw new NotThere();
        return idFrom(status, body, subject);
      });
    } catch (error) {
      if (error instanceof NotThere) return undefined;
      throw error;
    }
  }

  /** Why the subject's rule forbids a schema; empty where it does not, or the subject is new. @throws as {@link schema} */
  async incompatibilities(subject: string, schema: string): Promise<string[]> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`;
    const { status, body } = await this.#ask('POST', path, { schema });
    if (status === NOT_FOUND) return [];
    const { is_compatible: compatible, messages } = body as { is_compatible?: unknown; messages?: unknown };
    if (compatible === true) return [];
    return Array.isArray(messages) && messages.length > 0 ? messages.map(String) : [messageIn(body)];
  }

  async #once(subject: string, schema: string, ask: () => Promise<number>): Promise<number> {
    const key = `${subject}\n${schema}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = await ask();
    this.#ids.set(key, id);
    return id;
  }

  async #ask(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
    const { urls, retryMs = 30_000 } = this.#options;
    const deadline = performance.now() + retryMs;
    for (let pause = PAUSE_MS; ; pause = Math.min(MAX_PAUSE_MS, pause * 2)) {
      const failures: string[] = [];
      for (let i = 0; i < urls.length; i++) {
        const url = urls[this.#current % urls.length]!.replace(/\/+$/, '');
        try {
          const answer = await this.#send(method, url + path, body);
          if (answer.status === 401 || answer.status === 403) {
            const text = `${place(url)} answers ${answer.status}: the login is wrong or may not do this`;
            throw new FleetcastError('REGISTRY_REFUSED', text);
          }
          if (answer.status < 500 && answer.status !== 429) return answer;
          failures.push(`${place(url)} answers ${answer.status}: ${messageIn(answer.body)}`);
        } catch (error) {
          if (error instanceof FleetcastError) throw error;
          failures.push(`${place(url)}: ${messageOf(error)}`);
        }
        this.#current++;
      }
      if (performance.now() + pause > deadline) {
        throw new FleetcastError('REGISTRY_UNAVAILABLE', `no schema registry answers: ${failures.join('; ')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #send(method: 'GET' | 'POST', url: string, body: unknown): Promise<Answer> {
    const { user, password = '', token, ca, timeoutMs = 10_000 } = this.#options;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const login =
      token === undefined
        ? user && `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
        : `Bearer ${token}`;
    const request = url.startsWith('https:') ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const sent = request(url, {
        method,
        ...(ca === undefined ? {} : { ca }),
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          accept: `${TYPE}, application/json`,
          ...(text === undefined ? {} : { 'content-type': TYPE, 'content-length': Buffer.byteLength(text) }),
          ...(login ? { authorization: login } : {}),
        },
      });
      sent.on('error', reject);
      sent.on('response', (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_BYTES) response.destroy(new Error('the answer is too long'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parsed(Buffer.concat(chunks)) }));
      });
      sent.end(text);
    });
  }
}

class NotThere extends Error {}

function idFrom(status: number, body: unknown, subject: string): number {
  const { id } = (typeof body === 'object' && body !== null ? body : {}) as { id?: unknown };
  if (status === 200 && typeof id === 'number') return id;
  throw new FleetcastError('REGISTRY_REFUSED', `subject ${subject}: status ${status}: ${messageIn(body)}`, {
    details: { subject },
  });
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return bytes.toString('utf8').slice(0, 200);
  }
}

function messageIn(body: unknown): string {
  const message = typeof body === 'object' && body !== null ? (body as { message?: unknown }).message : body;
  return String(message ?? 'no reason given').slice(0, 500);
}

/** An address without the login that may be in it. */
function place(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return 'the registry';
  }
}
