import { Reject } from '../mapping/reject.ts';
import type { Decoder } from './bounds.ts';

/** Type of a channel: its name, the bytes of each number, what divides them, whether they are signed, axis names. */
type Kind = readonly [name: string, size: number, divisor: number, signed: boolean, axes?: readonly string[]];

const KINDS: Readonly<Record<number, Kind>> = {
  0: ['digital_in', 1, 1, false],
  1: ['digital_out', 1, 1, false],
  2: ['analog_in', 2, 100, true],
  3: ['analog_out', 2, 100, true],
  100: ['generic', 4, 1, false],
  101: ['luminosity', 2, 1, false],
  102: ['presence', 1, 1, false],
  103: ['temperature', 2, 10, true],
  104: ['relative_humidity', 1, 2, false],
  113: ['accelerometer', 2, 1000, true, ['x', 'y', 'z']],
  115: ['barometric_pressure', 2, 10, false],
  116: ['voltage', 2, 100, false],
  117: ['current', 2, 1000, false],
  118: ['frequency', 4, 1, false],
  120: ['percentage', 1, 1, false],
  121: ['altitude', 2, 1, true],
  125: ['concentration', 2, 1, false],
  128: ['power', 2, 1, false],
  130: ['distance', 4, 1000, false],
  131: ['energy', 4, 1000, false],
  132: ['direction', 2, 1, false],
  134: ['gyrometer', 2, 100, true, ['x', 'y', 'z']],
  135: ['colour', 1, 1, false, ['r', 'g', 'b']],
  142: ['switch', 1, 1, false],
};

/** Cayenne Low Power Payload, as the usual libraries write it: `{temperature_1: 21.5}`, named by kind and channel. */
export const decodeCayenneLpp: Decoder = (payload) => {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const result = Object.create(null) as Record<string, number>;
  let at = 0;
  const number = (size: number, signed: boolean, divisor: number): number => {
    if (at + size > bytes.length) throw new Reject('malformed', 'the Cayenne payload ends too early');
    const raw = signed ? bytes.readIntBE(at, size) : bytes.readUIntBE(at, size);
    at += size;
    return raw / divisor;
  };
  while (at < bytes.length) {
    const channel = number(1, false, 1);
    const type = number(1, false, 1);
    if (type === 136) {
      result[`gps_${channel}.latitude`] = number(3, true, 10_000);
      result[`gps_${channel}.longitude`] = number(3, true, 10_000);
      result[`gps_${channel}.altitude`] = number(3, true, 100);
      continue;
    }
    const kind = KINDS[type];
    if (kind === undefined) throw new Reject('malformed', `the Cayenne payload has the unknown type ${type}`);
    const [name, size, divisor, signed, axes] = kind;
    if (axes === undefined) result[`${name}_${channel}`] = number(size, signed, divisor);
    else for (const axis of axes) result[`${name}_${channel}.${axis}`] = number(size, signed, divisor);
  }
  if (Object.keys(result).length === 0) throw new Reject('no-values', 'an empty Cayenne payload');
  return result;
};
