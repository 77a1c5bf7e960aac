/** So many different events are told apart; beyond, they share one allowance. */
const MAX_KEYS = 1_000;

/**
 * Passes an event on at once, and the same one (by `key`) at most once a minute after that, with the number of those left
 * out: a device that does the same wrong thing for ever must not fill the log.
 */
export function damped<T>(
  key: (event: T) => string,
  pass: (event: T, more: { readonly leftOut?: number }) => void,
  now: () => number = Date.now,
  everyMs = 60_000,
): (event: T) => void {
  const seen = new Map<string, { at: number; leftOut: number }>();
  return (event) => {
    const at = now();
    if (seen.size >= MAX_KEYS) {
      for (const [name, last] of seen) if (at - last.at >= everyMs) seen.delete(name);
    }
    const wanted = key(event);
    const name = seen.has(wanted) || seen.size < MAX_KEYS ? wanted : '';
    const last = seen.get(name);
    if (last !== undefined && at - last.at < everyMs) {
      last.leftOut++;
      return;
    }
    seen.set(name, { at, leftOut: 0 });
    pass(event, last === undefined || last.leftOut === 0 ? {} : { leftOut: last.leftOut });
  };
}
