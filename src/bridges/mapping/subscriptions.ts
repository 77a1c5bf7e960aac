import type { Rule } from './rule.ts';

export interface Subscription {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
}

/**
 * What to subscribe to for these rules: each filter once, and none that another one contains, because a broker may
 * deliver a message once for each of its overlapping subscriptions.
 */
export function subscriptionsFor(rules: readonly Pick<Rule, 'filter' | 'config'>[]): readonly Subscription[] {
  const wanted = new Map<string, 0 | 1 | 2>();
  for (const { filter, config } of rules) {
    const qos = config.qos ?? 1;
    wanted.set(filter.mqtt, higher(wanted.get(filter.mqtt) ?? 0, qos));
  }
  const kept: { filter: string; qos: 0 | 1 | 2 }[] = [];
  for (const [filter, qos] of wanted) {
    if ([...wanted.keys()].some((other) => other !== filter && contains(other, filter))) continue;
    kept.push({ filter, qos });
  }
  return kept.map(({ filter, qos }) => {
    const inside = [...wanted].filter(([other]) => contains(filter, other)).map(([, each]) => each);
    return { filter, qos: inside.reduce(higher, qos) };
  });
}

/** Every topic that `inner` matches is matched by `outer`, too. */
export function contains(outer: string, inner: string): boolean {
  const wide = outer.split('/');
  const narrow = inner.split('/');
  for (let i = 0; i < wide.length; i++) {
    if (wide[i] === '#') return i > 0 || !narrow[0]!.startsWith('$');
    if (narrow[i] === undefined || narrow[i] === '#') return false;
    if (wide[i] === '+' ? i === 0 && narrow[0]!.startsWith('$') : wide[i] !== narrow[i]) return false;
  }
  return wide.length === narrow.length;
}

function higher(a: 0 | 1 | 2, b: 0 | 1 | 2): 0 | 1 | 2 {
  return a > b ? a : b;
}
