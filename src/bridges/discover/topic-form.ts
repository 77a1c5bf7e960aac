/** Last levels that say what kind of message this is, and neither what it is from nor what it measures. */
const DATA_WORD =
  /^(?:data|states?|status|telemetry|up|uplinks?|values?|sensors?|measurements?|events?|json|readings?|payload|stats|statistics|info|attributes|attrs|reports?|updates?|tele|metrics|messages?|msg|out|output|response|result|live|current)$/i;
/** Behind the name of a quantity: `kitchen/temperature/state`. */
const STATE_WORD = /^(?:state|value|raw|current)$/i;
const WORD = /^[A-Za-z][A-Za-z_ .-]*\d{0,2}$/;

export const isDataWord = (level: string): boolean => DATA_WORD.test(level);
export const isWord = (level: string): boolean => WORD.test(level);

/** A first level that can only be a device: a serial number, an IMEI, a MAC address. */
export function isIdentifier(level: string): boolean {
  return /\d{5}/.test(level) || (/^[0-9a-fA-F:_-]{12,}$/.test(level) && /\d/.test(level));
}

export interface TopicForm {
  /** Of each level the name of its wildcard, or undefined where it is written out. */
  readonly names: readonly (string | undefined)[];
  /** Template of the device's name. */
  readonly device: string;
  /** Level that holds the quantity: that of the wildcard `quantity`, or one that is written out; undefined where none does. */
  readonly quantityAt: number | undefined;
}

/**
 * What the levels of topics of one length stand for: those that differ are the device; the last one of a bare value is
 * its quantity.
 *
 * @param peers all topics under the first level, of whatever kind and length: so that rules for several kinds of messages
 *   of one device give it one name
 * @param scalar the payload is one value
 * @param written the last level (of a bare value the quantity) is written out, because a wildcard would take what is of
 *   another kind
 */
export function topicForm(
  topics: readonly string[][],
  peers: readonly string[][],
  scalar: boolean,
  written: boolean,
): TopicForm {
  const first = topics[0]!;
  const count = first.length;
  const names: (string | undefined)[] = Array(count).fill(undefined);
  const all = (i: number, is: (level: string) => boolean) => topics.every((levels) => is(levels[i]!));
  let last = count - 1;
  if (scalar && count > 2 && all(last, (level) => STATE_WORD.test(level))) last--;
  const spoken = last;
  while (!scalar && last > 0 && all(last, (level) => level === '' || isDataWord(level))) last--;
  const wordy = topics.every((levels) => isWord(levels[last]!));
  const quantityAt = scalar && last > 0 && (wordy || written) ? last : undefined;
  if (quantityAt !== undefined && !written) names[last] = 'quantity';
  // `devices/7/messages/events/`: nothing of the end is the device.
  const end = last < spoken ? last + 1 : quantityAt !== undefined || written ? last : last + 1;
  const differs = (i: number) => {
    const heard = i < spoken ? peers.filter((levels) => levels.length > i + 1) : topics;
    return new Set(heard.map((levels) => levels[i])).size > 1;
  };
  const found = Array.from({ length: end }, (_, i) => i).filter(
    // A number numbers devices, also where only one of them has been heard.
    (i) => differs(i) || (i > 0 ? all(i, (level) => /^\d+$/.test(level)) : count > 1 && isIdentifier(first[0]!)),
  );
  // A single device: what stands last, before the quantity, is most likely its name.
  if (found.length === 0 && end - 1 > 0) found.push(end - 1);
  found.forEach((at, i) => {
    names[at] = i === found.length - 1 ? 'device' : `level${at + 1}`;
  });
  return { names, quantityAt, device: deviceOf(topics, names, found, end) };
}

function deviceOf(
  topics: readonly string[][],
  names: readonly (string | undefined)[],
  found: readonly number[],
  end: number,
): string {
  const first = topics[0]!;
  const plain = (text: string) => text.replaceAll(/[{}]/g, '_');
  if (found.length === 0) return plain(first.slice(0, Math.max(1, end)).join('/'));
  const device = found.map((at) => `{${names[at]}}`).join('/');
  const [at = 0] = found;
  // `loadpoints/1`: a number alone is no name.
  const bare = found.length === 1 && at > 0 && topics.every((levels) => /^\d{1,4}$/.test(levels[at]!));
  return bare ? `${plain(first[at - 1]!)}/${device}` : device;
}
