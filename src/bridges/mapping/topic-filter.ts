import { FleetcastError } from '../../errors.ts';

/**
 * A topic filter with named wildcards, as configuration writes it: `tele/+device/SENSOR`, `v3/+app/#rest`, and beyond MQTT
 * one `#` that is not the last level: `tele/#device/SENSOR`.
 */
export interface TopicFilter {
  readonly source: string;
  /** What to subscribe to: the names are gone. */
  readonly mqtt: string;
  readonly names: readonly string[];
  /** What the wildcards stand for in this topic, or undefined where it does not match. */
  match(topic: string): ReadonlyMap<string, string> | undefined;
}

/** @throws CONFIG_INVALID for an empty filter, wildcards inside a level, two `#`, or a name used twice. */
export function parseTopicFilter(source: string): TopicFilter {
  const fail = (why: string) => {
    throw new FleetcastError('CONFIG_INVALID', `topic filter ${JSON.stringify(source)}: ${why}`, {
      details: { filter: source },
    });
  };
  if (source === '' || Buffer.byteLength(source) > 65_535) fail('must have 1 to 65,535 bytes');
  if (source.includes('\u0000')) fail('must not hold a NUL character');
  const levels = source.split('/');
  const names: string[] = [];
  const plain: string[] = [];
  levels.forEach((level) => {
    const kind = level[0];
    if (kind !== '+' && kind !== '#') {
      if (/[+#]/.test(level)) fail(`${JSON.stringify(level)}: a wildcard must begin its level`);
      plain.push(level);
      return;
    }
    if (kind === '#' && plain.includes('#')) fail('# may stand in one place only');
    const name = level.slice(1);
    if (!/^[A-Za-z0-9_-]*$/.test(name))
      fail(`${JSON.stringify(level)}: a wildcard's name has letters, digits, _ and -`);
    if (name !== '' && names.includes(name)) fail(`the name ${name} is used twice`);
    names.push(name);
    plain.push(kind);
  });
  const rest = plain.indexOf('#');
  const head = rest === -1 ? plain : plain.slice(0, rest);
  const tail = rest === -1 ? [] : plain.slice(rest + 1);
  const mqtt = (rest === -1 ? plain : plain.slice(0, rest + 1)).join('/');
  return {
    source,
    mqtt,
    names: names.filter((name) => name !== ''),
    match: (topic) => {
      if (!matchesFilter(mqtt, topic)) return undefined;
      const parts = topic.split('/');
      // A # in the middle stands for one level at least: `tele/#device/SENSOR` has no device in `tele/SENSOR`.
      const tailAt = parts.length - tail.length;
      if (
        tail.length > 0 &&
        (tailAt <= head.length || !tail.every((level, i) => level === '+' || level === parts[tailAt + i]))
      ) {
        return undefined;
      }
      const captured = new Map<string, string>();
      levels.forEach((level, i) => {
        if (level.length < 2 || (level[0] !== '+' && level[0] !== '#')) return;
        if (level[0] === '#') captured.set(level.slice(1), parts.slice(i, tailAt).join('/'));
        else captured.set(level.slice(1), parts[rest !== -1 && i > rest ? tailAt + i - rest - 1 : i] ?? '');
      });
      return captured;
    },
  };
}

/** The matching rule of MQTT (section 4.7): `#` also matches its parent; wildcards do not match a leading `$`. */
export function matchesFilter(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  if (topic.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false;
  for (let i = 0; i < wanted.length; i++) {
    const level = wanted[i];
    if (level === '#') return true;
    if (i >= levels.length || (level !== '+' && level !== levels[i])) return false;
    if (i === levels.length - 1 && wanted.length === levels.length + 1 && wanted[i + 1] === '#') return true;
  }
  return wanted.length === levels.length;
}

/** Whether a topic may match both filters. */
export function overlaps(one: string, other: string): boolean {
  const a = one.split('/');
  const b = other.split('/');
  const wild = (level: string | undefined) => level === '+' || level === '#';
  if ((wild(a[0]) && b[0]!.startsWith('$')) || (wild(b[0]) && a[0]!.startsWith('$'))) return false;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (a[i] === '#' || b[i] === '#') return true;
    if (a[i] === undefined || b[i] === undefined) return false;
    if (a[i] !== '+' && b[i] !== '+' && a[i] !== b[i]) return false;
  }
  return true;
}
