import { FleetcastError, isFleetcastError, messageOf } from '../../errors.ts';

/** Error codes of the protocol that are handled by name. */
export const CODE = {
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  MESSAGE_TOO_LARGE: 10,
  RECORD_LIST_TOO_LARGE: 18,
  ILLEGAL_GENERATION: 22,
  UNKNOWN_MEMBER_ID: 25,
  REBALANCE_IN_PROGRESS: 27,
  OUT_OF_ORDER_SEQUENCE: 45,
  DUPLICATE_SEQUENCE: 46,
  INVALID_PRODUCER_EPOCH: 47,
  CONCURRENT_TRANSACTIONS: 51,
  NON_EMPTY_GROUP: 68,
  GROUP_ID_NOT_FOUND: 69,
  MEMBER_ID_REQUIRED: 79,
  PRODUCER_FENCED: 90,
  TRANSACTIONAL_ID_NOT_FOUND: 105,
} as const;

/** Codes that pass by themselves: elections, moves of coordinators, too few replicas for now. */
const PASSING = new Set([2, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 27, 51, 56, 72, 74, 75, 78, 82, 88, 89]);

/** The protocol's code of an error, or undefined where it is none of the protocol. */
export function codeOf(error: unknown): number | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code, errors } = at as { code?: unknown; errors?: unknown[] };
    if (typeof code === 'number') return code;
    // Errors of several topics in one.
    for (const each of errors ?? []) {
      const inner = codeOf(each);
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}

/** Whether the same request may succeed when it is sent again, here or to another broker. */
export function isPassing(error: unknown): boolean {
  if (isFleetcastError(error)) return false;
  const code = codeOf(error);
  if (code !== undefined) return PASSING.has(code) || code === CODE.UNKNOWN_TOPIC_OR_PARTITION;
  // Broken connections, time-outs, brokers not found; but not a refused login.
  return !isRefused(error) && !(error instanceof Error && /NotImplemented/i.test(`${error.name} ${error.message}`));
}

/** Codes of rights that are missing: for a topic, a group, the cluster, a transactional id; of a login; of a mechanism. */
const REFUSED = new Set([29, 30, 31, 33, 34, 53, 54, 58]);

/** A login, a certificate or a right that the broker does not accept, or a broker's certificate that we do not. */
function isRefused(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return REFUSED.has(code);
  const told = error instanceof Error ? `${error.name} ${error.message}` : '';
  return /Authentication|SASL|certificate|\balert\b|wrong version number/i.test(told);
}

export class KafkaError extends Error {
  readonly code: number;

  constructor(code: number, where: string) {
    super(`${where}: Kafka answers error ${code}`);
    this.name = 'KafkaError';
    this.code = code;
  }
}

export function translate(error: unknown, where: string): FleetcastError {
  if (error instanceof FleetcastError) return error;
  const code = codeOf(error);
  const { errors } = error as { errors?: unknown[] };
  const text = `${where}: ${[error, ...(errors ?? [])].map(messageOf).join('; ')}`;
  const options = { cause: error };
  if (code === CODE.UNKNOWN_TOPIC_OR_PARTITION) return new FleetcastError('LOG_TOPIC_UNKNOWN', text, options);
  if (code === CODE.OFFSET_OUT_OF_RANGE) return new FleetcastError('LOG_OFFSET_OUT_OF_RANGE', text, options);
  if (code === CODE.MESSAGE_TOO_LARGE || code === CODE.RECORD_LIST_TOO_LARGE) {
    return new FleetcastError('LOG_RECORD_TOO_LARGE', text, options);
  }
  if (code === CODE.INVALID_PRODUCER_EPOCH || code === CODE.PRODUCER_FENCED) {
    return new FleetcastError('LOG_FENCED', text, options);
  }
  return new FleetcastError(isRefused(error) ? 'LOG_REFUSED' : 'LOG_UNAVAILABLE', text, options);
}

export interface Patience {
  readonly where: string;
  /** How long to go on, milliseconds. */
  readonly retryMs: number;
  /** Run before each further attempt. */
  readonly recover?: (error: unknown) => Promise<void> | void;
  readonly signal?: AbortSignal;
}

const FIRST_PAUSE_MS = 4;
const LONGEST_PAUSE_MS = 500;

/** Tries again while the error is one that passes. @throws the translated error when the patience is over. */
export async function patiently<T>(patience: Patience, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + patience.retryMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt();
    } catch (error) {
      const over = performance.now() + pause > deadline || patience.signal?.aborted === true;
      if (over || !isPassing(error)) throw translate(error, patience.where);
      await new Promise((resolve) => setTimeout(resolve, pause));
      try {
        await patience.recover?.(error);
      } catch {
        // The next attempt meets the same trouble.
      }
    }
  }
}
