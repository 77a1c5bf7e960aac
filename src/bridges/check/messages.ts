import { FleetcastError } from '../../errors.ts';
import type { SampleMessage } from './explain.ts';

/**
 * Sample messages from text. JSON: a list (or `{items: […]}`) of `{topic, payload}`, or one such object a line; the
 * payload is JSON or text, or bytes as `base64`. Otherwise `mosquitto_sub -v`: topic, space, payload on each line; a topic
 * may hold spaces where the payload is JSON.
 *
 * @param arrival for messages that have none of their own (`arrival` in milliseconds or ISO 8601, or `tst` as
 *   `mosquitto_sub -F %j` writes it).
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
    const space = endOfTopic(line);
    if (space < 1) throw new FleetcastError('USAGE', `line ${i + 1} has no payload after its topic`);
    return { topic: line.slice(0, space), payload: Buffer.from(line.slice(space + 1)), arrival };
  });
}

function endOfTopic(line: string): number {
  for (const { index } of line.matchAll(/ (?=[[{])/g)) if (jsonOf(line.slice(index + 1)) !== undefined) return index;
  return line.indexOf(' ');
}

function messageOf(entry: unknown, number: number, arrival: number): SampleMessage {
  const fields = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  const { topic, payload } = fields;
  const base64 = fields['base64'] ?? fields['payloadBase64'];
  if (typeof topic !== 'string') throw new FleetcastError('USAGE', `message ${number} has no topic`);
  const stated = fields['arrival'] ?? fields['tst'];
  // Mosquitto writes both Z and an offset.
  const own = typeof stated === 'string' ? Date.parse(stated.replace(/Z[+-]\d{4}$/, 'Z')) : stated;
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
