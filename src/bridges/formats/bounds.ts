import { Reject } from '../mapping/reject.ts';

/** What a decoded payload may be at most; see `MappingLimits` for the defaults. */
export interface FormatLimits {
  /** Levels of objects and lists. */
  readonly maxDepth: number;
  /** Objects, lists and plain values together. */
  readonly maxNodes: number;
}

export const DEFAULT_FORMAT_LIMITS: FormatLimits = { maxDepth: 16, maxNodes: 100_000 };

/**
 * Bytes of a payload to a value that paths can walk through. Throws `Reject` and nothing else. One that has understood
 * only a part returns that and tells why the rest is left.
 */
export type Decoder = (payload: Uint8Array, onRest?: OnRest) => unknown;

/** Told, while a payload is decoded, of a part that was not understood. */
export type OnRest = (rest: Reject) => void;

/** @throws Reject `too-deep` or `too-many-values`. */
export function checkBounds(value: unknown, limits: FormatLimits): void {
  if (value === null || typeof value !== 'object') return;
  let left = limits.maxNodes;
  const visit = (node: object, depth: number): void => {
    if (depth > limits.maxDepth) throw new Reject('too-deep', `nested more than ${limits.maxDepth} levels`);
    // Object.keys and not for-in: inherited names are not part of a payload.
    const inner: readonly unknown[] = Array.isArray(node) ? node : Object.values(node);
    left -= inner.length;
    if (left < 0) throw new Reject('too-many-values', `more than ${limits.maxNodes} values in one payload`);
    for (const each of inner) {
      if (each !== null && typeof each === 'object' && !(each instanceof Uint8Array) && !(each instanceof Date)) {
        visit(each, depth + 1);
      }
    }
  };
  visit(value, 1);
}

/**
 * Runs the decoder of a library: whatever it throws on foreign bytes (a stack overflow is a RangeError) becomes a
 * refusal, and what it returns is checked.
 */
export function guarded(name: string, limits: FormatLimits, decode: Decoder): Decoder {
  return (payload) => {
    let value: unknown;
    try {
      value = decode(payload);
      checkBounds(value, limits);
    } catch (error) {
      if (error instanceof Reject) throw error;
      const why = error instanceof Error ? error.message.slice(0, 120) : 'the decoder failed';
      throw new Reject('malformed', `not ${name}: ${why}`);
    }
    return value;
  };
}
