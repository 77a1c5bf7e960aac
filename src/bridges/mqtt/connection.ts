import { readFileSync } from 'node:fs';
import type { IClientOptions } from 'mqtt';
import { FleetcastError, messageOf } from '../../errors.ts';

/** Where the broker is and who we are. Secrets come as values; where they come from is the configuration's matter. */
export interface ConnectionOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`, host, port; credentials do not belong here. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  /** Files in PEM. */
  readonly tls?: {
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
    /** Accepts any certificate. Default false. */
    readonly insecure?: boolean;
  };
  /** Seconds; default 30. */
  readonly keepalive?: number;
  /** Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** First and longest wait before a new attempt; it doubles. Default 250 and 30,000. */
  readonly reconnectMs?: { readonly min?: number; readonly max?: number };
  /** `auto` begins with 5 and falls back to 3.1.1 where the broker refuses it. Default `auto`. */
  readonly protocol?: 'auto' | '5' | '3.1.1';
}

/** @throws USAGE for what is no address, BRIDGE_CONNECT for an address or a file that cannot be used; nothing of a secret is in the message. */
export function clientOptions(options: ConnectionOptions): IClientOptions {
  const url = brokerUrl(options.url);
  const file = (path: string | undefined, what: string) => {
    if (path === undefined) return undefined;
    try {
      return readFileSync(path);
    } catch (cause) {
      throw new FleetcastError('BRIDGE_CONNECT', `cannot read the ${what} ${path}: ${messageOf(cause)}`, { cause });
    }
  };
  const ca = file(options.tls?.ca, 'CA file');
  const cert = file(options.tls?.certificate, 'certificate');
  const key = file(options.tls?.key, 'key');
  return {
    protocolVersion: options.protocol === '3.1.1' ? 4 : 5,
    keepalive: options.keepalive ?? 30,
    connectTimeout: options.connectTimeoutMs ?? 10_000,
    reconnectPeriod: options.reconnectMs?.min ?? 250,
    reconnectOnConnackError: true,
    resubscribe: false,
    queueQoSZero: false,
    rejectUnauthorized: options.tls?.insecure !== true,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // The name to ask for in TLS is mqtt.js's and ws's matter: none for an IP address, which cannot be one (RFC 6066, 3).
    // mqtt.js writes the address of a WebSocket anew, and would leave out the brackets of IPv6.
    ...(['ws:', 'wss:'].includes(url.protocol) ? { hostname: url.hostname } : {}),
  };
}

/** The address without credentials, for logs and errors. */
export function displayUrl(text: string): string {
  const url = brokerUrl(text);
  return `${url.protocol}//${url.host}${url.pathname === '/' ? '' : url.pathname}`;
}

function brokerUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw notAnAddress();
  }
  if (!['mqtt:', 'mqtts:', 'tcp:', 'ssl:', 'ws:', 'wss:'].includes(url.protocol)) {
    throw notAnAddress();
  }
  if (url.password !== '' || url.username !== '') {
    throw new FleetcastError(
      'BRIDGE_CONNECT',
      'user and password do not belong into the broker address, where logs would show them: give them by themselves',
    );
  }
  return url;
}

/** The address itself is not shown: what stands before an `@` in it may be a secret. */
function notAnAddress(): FleetcastError {
  const begin = 'mqtt://, mqtts://, ws:// or wss://';
  return new FleetcastError('USAGE', `the broker address begins with ${begin}, such as mqtt://localhost:1883`);
}
