import { isFleetcastError, messageOf } from '../errors.ts';
import { requireToken } from './http/access.ts';
import { WaitingRoom } from './http/waiting-room.ts';
import { damped } from './logging/damped.ts';
import { type Service, type ServiceOptions, startService } from './service.ts';

/** One attempt to reach the brokers. */
const CONNECT_MS = 5_000;
const PAUSE_MS = 1_000;

/**
 * Starts the service. Where its brokers or its schema registry are away it waits for them, for minutes as for hours:
 * `/ready` and the log say for what. An embedded log is there or it is not: nothing is waited for. The port of the page
 * is taken before anything else: a second service that cannot have it must not take tasks from the first.
 *
 * @param signal ends the waiting; the service is undefined then.
 * @throws what {@link startService} throws, for all that does not mend by itself: a refused login, a wrong configuration
 */
export async function startPatiently(options: ServiceOptions, signal: AbortSignal): Promise<Service | undefined> {
  const { configuration, logger } = options;
  const patient = configuration.log.kafka !== undefined;
  const { enabled, host, port, token } = configuration.http;
  if (enabled) requireToken(host, token);
  const room = enabled && port !== 0 ? new WaitingRoom(host, port) : undefined;
  const warn = damped<unknown>(
    () => 'away',
    (error) => logger.warn({ err: error }, 'the service waits for its log'),
  );
  try {
    while (!signal.aborted) {
      await room?.open();
      try {
        const beforePage = async () => room?.close();
        return await startService({ ...options, ...(patient ? { connectMs: CONNECT_MS } : {}), beforePage });
      } catch (error) {
        if (!patient || !mendsByItself(error)) throw error;
        room?.tell(`the log is away: ${messageOf(error)}`);
        warn(error);
      }
      await pause(PAUSE_MS, signal);
    }
    return undefined;
  } finally {
    await room?.close();
  }
}

function mendsByItself(error: unknown): boolean {
  return isFleetcastError(error, 'LOG_UNAVAILABLE') || isFleetcastError(error, 'REGISTRY_UNAVAILABLE');
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
