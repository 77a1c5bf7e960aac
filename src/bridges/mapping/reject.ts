/** Why a message, or a part of it, did not become a reading. Stable: configuration and dashboards match on it. */
export const REJECT_REASONS = [
  'no-mapping',
  'topic-too-long',
  'payload-too-large',
  'not-utf8',
  'not-json',
  'malformed',
  'partly-read',
  'not-finite',
  'not-a-number',
  'missing-field',
  'bad-time',
  'time-out-of-range',
  'bad-device-name',
  'bad-quantity-name',
  'too-many-devices',
  'too-many-quantities',
  'too-deep',
  'too-many-values',
  'too-many-parts',
  'unknown-unit',
  'unknown-alias',
  'expression-failed',
  'no-values',
  'ignored',
] as const;

export type RejectReason = (typeof REJECT_REASONS)[number];

/** Reasons that mean "nothing here to keep": dropped and counted unless configuration says otherwise. */
export const DROPPED_BY_DEFAULT: ReadonlySet<RejectReason> = new Set(['no-values', 'ignored']);

/** Thrown inside the mapping only; it never leaves {@link Mapping.map}. */
export class Reject extends Error {
  readonly reason: RejectReason;

  constructor(reason: RejectReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A piece of foreign text for a message: short, on one line. */
export function excerpt(value: unknown, length = 60): string {
  let text: string;
  try {
    text = typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value));
  } catch {
    text = typeof value;
  }
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
