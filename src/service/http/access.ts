import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { FleetcastError } from '../../errors.ts';

export interface Refusal {
  readonly code: 401 | 403;
  readonly error: string;
  /** Set where the caller brought the token in the address: keep it in this cookie and take it out of the address. */
  readonly cookie?: string;
}

const COOKIE = 'fleetcast_token';

/** @throws CONFIG_INVALID for an address that others can reach without a token, and for a token that is empty. */
export function requireToken(host: string, token: unknown): void {
  if (token === '') throw new FleetcastError('CONFIG_INVALID', 'http.token: the token is empty');
  if (token !== undefined || isLoopback(host)) return;
  throw new FleetcastError('CONFIG_INVALID', `http.host: ${host} can be reached by others: set http.token`);
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Who may call: on loopback, callers that name it so (a page of another site that resolves to loopback does not); with a
 * token, whoever brings it as `Authorization: Bearer`, in the cookie, or once as `?token=`. `/health` and `/ready` are open to all: the routes, whatever the address looks like.
 */
export function authorise(request: FastifyRequest, token: string | undefined, host: string): Refusal | undefined {
  const named = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (isLoopback(host) && !isLoopback(named)) return { code: 403, error: 'the host name is not allowed' };
  const origin = request.headers.origin;
  if (request.method !== 'GET' && origin !== undefined && !sameOrigin(origin, request.headers.host)) {
    return { code: 403, error: 'requests from other sites are not allowed' };
  }
  const route = request.routeOptions.url;
  if (token === undefined || route === '/health' || route === '/ready') return undefined;
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const cookie = new RegExp(`(?:^|; )${COOKIE}=([^;]*)`).exec(request.headers.cookie ?? '')?.[1];
  if (same(bearer, token) || same(decoded(cookie), token)) return undefined;
  const { token: given } = request.query as { token?: unknown };
  if (!same(given, token))
    return {
      code: 401,
      error: 'a token is needed: as Authorization: Bearer …, or once as ?token=… in the address of the page',
    };
  const value = encodeURIComponent(token);
  return { code: 401, error: '', cookie: `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict` };
}

function sameOrigin(origin: string, host: string | undefined): boolean {
  try {
    return new URL(origin).host === host;
  } catch {
    return false;
  }
}

/** Undefined for what is no encoding. */
function decoded(cookie: string | undefined): string | undefined {
  try {
    return cookie === undefined ? undefined : decodeURIComponent(cookie);
  } catch {
    return undefined;
  }
}

function same(given: unknown, token: string): boolean {
  if (typeof given !== 'string') return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
