import { createHash, timingSafeEqual } from 'node:crypto';
import { FleetcastError } from '../../errors.ts';
import { matchesFilter } from '../mapping/topic-filter.ts';

export interface BrokerUser {
  readonly name: string;
  readonly password: string;
  /** MQTT topic filters this user may publish to; `%c` stands for the client id, `%u` for the user. Default: all. */
  readonly publish?: readonly string[];
  /** MQTT topic filters this user may subscribe to, literally or narrower. Default: all. */
  readonly subscribe?: readonly string[];
}

export interface BrokerAccess {
  /** Who may connect. Without users everybody on loopback may. */
  readonly users?: readonly BrokerUser[];
  /**
   * Lets everybody in on an address that others can reach; beside users, also whoever brings no name: such a client may do
   * what each of the users may.
   */
  readonly allowAnonymous?: boolean;
}

/**
 * @throws BROKER_FAILED where others could connect without a password and nobody has said that they may, and for a
 *   password that is empty.
 */
export function checkAccess(host: string, access: BrokerAccess): void {
  const open = access.users?.find((user) => user.password === '');
  if (open !== undefined) throw new FleetcastError('BROKER_FAILED', `the password of the user ${open.name} is empty`);
  if (isLoopback(host) || access.allowAnonymous === true || (access.users?.length ?? 0) > 0) return;
  throw new FleetcastError(
    'BROKER_FAILED',
    `the embedded broker may listen on ${host} only with users and passwords, or with allowAnonymous: true`,
    { details: { host } },
  );
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

export function passwordMatches(
  access: BrokerAccess,
  username: string | undefined,
  password: Uint8Array | undefined,
): boolean {
  if (access.users === undefined || access.users.length === 0) return true;
  if (username === undefined) return access.allowAnonymous === true;
  const user = access.users.find((each) => each.name === username);
  // A wrong name costs the same time as a wrong password.
  return isPassword(user?.password ?? '', password) && user !== undefined;
}

/** Compares in a time that does not tell how much of it was right. */
export function isPassword(wanted: string, given: Uint8Array | undefined): boolean {
  return timingSafeEqual(digest(wanted), digest(given ?? '')) && given !== undefined;
}

/** Why this client may not publish there, or undefined where it may. */
export function mayPublish(
  access: BrokerAccess,
  username: string | undefined,
  clientId: string,
  topic: string,
): string | undefined {
  if (topic.startsWith('$')) return 'reserved-topic';
  const allowed = whoCounts(access, username).every(
    ({ name, publish }) =>
      publish === undefined || publish.some((filter) => matchesFilter(fill(filter, clientId, name), topic)),
  );
  return allowed ? undefined : 'topic-not-allowed';
}

export function mayRead(access: BrokerAccess, username: string | undefined, clientId: string, wanted: string): boolean {
  return whoCounts(access, username).every(
    ({ name, subscribe }) =>
      subscribe === undefined || subscribe.some((filter) => covers(fill(filter, clientId, name), wanted)),
  );
}

/** Whose rights a client has, all of them together: its user's; of one without a name those that every user has. */
function whoCounts({ users = [] }: BrokerAccess, username: string | undefined): readonly BrokerUser[] {
  const user = users.find((each) => each.name === username);
  return user === undefined ? users : [user];
}

/** True where every topic that `wanted` matches is matched by `filter` too. */
function covers(filter: string, wanted: string): boolean {
  const allowed = filter.split('/');
  const asked = wanted.split('/');
  for (let i = 0; i < allowed.length; i++) {
    if (allowed[i] === '#') return true;
    if (i >= asked.length || asked[i] === '#') return false;
    if (allowed[i] !== '+' && allowed[i] !== asked[i]) return false;
  }
  return allowed.length === asked.length;
}

/** A client id or name that holds wildcards or levels of its own would widen the right: such a filter matches nothing. */
function fill(filter: string, clientId: string, username: string): string {
  const safe = (text: string) => (/[+#/]/.test(text) || text === '' ? '\u0000' : text);
  return filter.replaceAll('%c', safe(clientId)).replaceAll('%u', safe(username));
}

function digest(text: string | Uint8Array): Buffer {
  return createHash('sha256').update(text).digest();
}
