import { Reject } from '../mapping/reject.ts';
import type { Decoder } from './bounds.ts';

/** How the bytes after channel and type are read: name, length, divisor, signed. Numbers are little endian. */
type Kind = readonly [name: string, size: number, divisor: number, signed: boolean];

/** The types that mean the same in all of Milesight's AM, EM and WS sensors (their "IPSO" payload format). */
const KINDS: Readonly<Record<number, Kind>> = {
  103: ['temperature', 2, 10, true],
  104: ['humidity', 1, 2, false],
  106: ['activity', 2, 1, false],
  115: ['pressure', 2, 10, false],
  117: ['battery', 1, 1, false],
  125: ['concentration', 2, 1, false],
  130: ['distance', 2, 1, false],
  200: ['counter', 4, 1, false],
  203: ['light_level', 1, 1, false],
  230: ['tvoc', 2, 1, false],
};
/** Three numbers of the AM100 series on its channel 6; other sensors give the type 101 other lengths. */
const LIGHT = { channel: 6, type: 101, names: ['illumination', 'infrared_and_visible', 'infrared'], size: 2 } as const;
/** On the channel 0xff stands what the device is, not what it measures: type to length. */
const ABOUT: Readonly<Record<number, number>> = { 1: 1, 9: 2, 10: 2, 11: 1, 15: 1, 22: 8, 255: 2, 254: 1 };

/**
 * Channel, type, value; … as Milesight's LoRaWAN sensors send it. The length of a type that is not known cannot be told:
 * what stands from there on is left, and told.
 */
export const decodeMilesight: Decoder = (payload, onRest) => {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const result = Object.create(null) as Record<string, number>;
  let at = 0;
  let read = 0;
  for (; at + 2 <= bytes.length; read = at) {
    const channel = bytes[at]!;
    const type = bytes[at + 1]!;
    at += 2;
    if (channel === 0xff && ABOUT[type] !== undefined && at + ABOUT[type] <= bytes.length) {
      at += ABOUT[type];
      continue;
    }
    if (channel === LIGHT.channel && type === LIGHT.type && at + 6 <= bytes.length) {
      for (const name of LIGHT.names) {
        result[name] = bytes.readUIntLE(at, LIGHT.size);
        at += LIGHT.size;
      }
      continue;
    }
    const kind = KINDS[type];
    if (kind === undefined || at + kind[1] > bytes.length) break;
    const [name, size, divisor, signed] = kind;
    const value = (signed ? bytes.readIntLE(at, size) : bytes.readUIntLE(at, size)) / divisor;
    result[name in result ? `${name}_${channel}` : name] = value;
    at += size;
  }
  if (read < bytes.length) {
    const rest = bytes.subarray(read);
    const shown = `${rest.toString('hex', 0, 16)}${rest.length > 16 ? '…' : ''}`;
    const message = `${rest.length} bytes from byte ${read} on are no known channel of a Milesight sensor: ${shown}`;
    if (Object.keys(result).length === 0) throw new Reject('malformed', message);
    onRest?.(new Reject('partly-read', message));
  }
  // A sensor that has just joined says what it is, and no more.
  if (Object.keys(result).length === 0) throw new Reject('no-values', 'no measurement of a Milesight sensor');
  return result;
};
