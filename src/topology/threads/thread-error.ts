import { FleetcastError, isFleetcastError, messageOf } from '../../errors.ts';
import type { ThreadError } from './messages.ts';

/** An error as it crosses between threads: as itself it would lose its code. */
export function toError(error: unknown): ThreadError {
  return {
    code: isFleetcastError(error) ? error.code : undefined,
    message: messageOf(error),
    ...(error instanceof Error ? { stack: error.stack } : {}),
    ...(error instanceof Error && error.cause !== undefined ? { cause: toError(error.cause) } : {}),
  };
}

export function asError({ code, message, stack, cause }: ThreadError): FleetcastError {
  const options = cause === undefined ? {} : { cause: Object.assign(new Error(cause.message), withStack(cause.stack)) };
  return Object.assign(new FleetcastError(code ?? 'OPERATOR_FAILED', message, options), withStack(stack));
}

/** The stack of the thread in which it happened says more than that of the message. */
function withStack(stack: string | undefined): { readonly stack?: string } {
  return stack === undefined ? {} : { stack };
}
