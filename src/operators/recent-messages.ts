import type { ByteReader, ByteWriter } from './binary.ts';

/**
 * The last messages of one device, by fingerprint, each with its place in the partition. A list of `[content and packet
 * (two numbers of 32 bits), place]` that grows at the end; what is before `from` is forgotten.
 */
export interface RecentMessages {
  entries: number[];
  from: number;
}

export interface RecentLimits {
  /** So many of the last messages are kept however old they are. */
  readonly keep: number;
  /** Messages of the partition that may lie between a delivery and its repetition. */
  readonly window: number;
}

/** Of one device no more are kept: twice what a bridge may have in flight. They take 16 bytes each in a snapshot. */
const MOST = 16_384;

const SIZE = 3;
const PACKET = 0x10000;

export function noMessages(): RecentMessages {
  return { entries: [], from: 0 };
}

/**
 * Where a record stands among the readings of its partition: its offset less the ticks before it, of which there is one
 * a second. So the hours in which a broker was away, and only time itself was appended, do not count.
 */
export function placeOf(at: { readonly offset: number; readonly ingestTime: number }): number {
  return at.offset - at.ingestTime / 1000;
}

/** @param fingerprint 16 hex digits. */
export function rememberMessage(
  messages: RecentMessages,
  fingerprint: string,
  place: number,
  { keep, window }: RecentLimits,
): void {
  const { entries } = messages;
  for (let count = (entries.length - messages.from) / SIZE; count > 0; count--) {
    const expired = count >= keep && place - entries[messages.from + 2]! > window;
    if (!expired && count < MOST) break;
    messages.from += SIZE;
  }
  // Now and then, so that it costs little for each message.
  if (messages.from > entries.length >> 1) {
    entries.splice(0, messages.from);
    messages.from = 0;
  }
  entries.push(Number.parseInt(fingerprint.slice(0, 8), 16), Number.parseInt(fingerprint.slice(8), 16), place);
}

/**
 * Whether the message is among them: the same content under the same packet identifier, or the same content alone where
 * the fingerprint has no identifier (0). Expired ones count as long as they are there.
 */
export function wasRemembered({ entries, from }: RecentMessages, fingerprint: string): boolean {
  const high = Number.parseInt(fingerprint.slice(0, 8), 16);
  const low = Number.parseInt(fingerprint.slice(8), 16);
  const anyPacket = low % PACKET === 0;
  for (let i = from; i < entries.length; i += SIZE) {
    if (entries[i] !== high) continue;
    const other = entries[i + 1]!;
    if (other === low || (anyPacket && other - (other % PACKET) === low)) return true;
  }
  return false;
}

export function writeMessages(writer: ByteWriter, { entries, from }: RecentMessages): ByteWriter {
  writer.count((entries.length - from) / SIZE);
  for (let i = from; i < entries.length; i += SIZE) {
    writer
      .count(entries[i]!)
      .count(entries[i + 1]!)
      .number(entries[i + 2]!);
  }
  return writer;
}

export function readMessages(reader: ByteReader): RecentMessages {
  const entries: number[] = [];
  for (let left = reader.count(); left > 0; left--) entries.push(reader.count(), reader.count(), reader.number());
  return { entries, from: 0 };
}
