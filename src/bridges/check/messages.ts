import { FleetcastError } from '../../errors.ts';
import type { SampleMessage } from './explain.ts';

/**
 * Sample messages from text. JSON: a list (or `{items: […]}`) of `{topic, payload}`, or one such object a line; the
 * payload is JSON or text, or bytes as `base64`. Otherwise `mosquitto_sub -v`: topic, space, payload on each line.
 *
 * @param arrival for messages that have none of their own (`arrival`, in milliseconds or ISO 8601).
 * @throws USAGE, naming the message.
 */
export function parseMessages(text: string, arrival: number): readonly SampleMessage[] {
  const trimmed = text.trim();
  if (trimmed === '') return [];
  const whole = jsonOf(trimmed);
  if (whole !== undefined) {
    const list = Array.isArray(whole) ? whole : ((whole as { items?: unknown }).items ?? [whole]);
    if (!Array.isArray(list)) throw new FleetcastError('USAGE', 'the messages are no list');
    return list.map((entry, i) => messageOf(entry, i + 1, arrival));
  }
  const lines = trimmed.split(/\r?\n/).filter((line) => line.trim() !== '');
  return lines.map((line, i) => {
    const json = line.startsWith('{') ? jsonOf(line) : undefined;
    if (json !== undefined) return messageOf(json, i + 1, arrival);
    const space = line.indexOf(' ');
    if (space < 1) throw new FleetcastError('USAGE', `line ${i + 1} has no payload after its topic`);
    return { topic: line.slice(0, space), payload: Buffer.from(line.slice(space + 1)), arrival };
  });
}

function messageOf(entry: unknown, number: number, arrival: number): SampleMessage {
  const fields = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  const { topic, payload } = fields;
  const base64 = fields['base64'] ?? fields['payloadBase64'];
  if (typeof topic !== 'string') throw new FleetcastError('USAGE', `message ${number} has no topic`);
  const own = typeof fields['arrival'] === 'string' ? Date.parse(fields['arrival']) : fields['arrival'];
  const at = typeof own === 'number' && Number.isFinite(own) ? own : arrival;
  if (typeof base64 === 'string') return { topic, payload: Buffer.from(base64, 'base64'), arrival: at };
  if (payload === undefined) throw new FleetcastError('USAGE', `message ${number} has no payload`);
  return { topic, payload: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)), arrival: at };
}

function jsonOf(text: string): unknown {
  if (!/^[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
