import { Reject } from '../mapping/reject.ts';
import type { Decoder } from './bounds.ts';

/** What a tag says, in the names and units of Ruuvi's own gateway: °C, %, Pa, g, V, dBm, µg/m³, ppm, lux. */
type Measured = Record<string, number>;

const MANUFACTURER = 0x0499;
const MANUFACTURER_DATA = 0xff;

/**
 * A Bluetooth advertisement of a Ruuvi sensor, data formats 3, 5, 6, C5 and E1. What other devices advertise is refused as
 * `no-values`: a gateway passes on whatever it hears. What a sensor marks as not available is left out.
 */
export const decodeRuuvi: Decoder = (payload) => {
  const data = manufacturerData(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
  const format = data === undefined ? undefined : FORMATS[data[0] ?? 0];
  if (data === undefined || format === undefined)
    throw new Reject('no-values', 'not an advertisement of a Ruuvi sensor');
  if (data.length < format.length) throw new Reject('malformed', 'the advertisement of a Ruuvi sensor ends too early');
  const measured: Measured = {};
  for (const [name, value] of Object.entries(format.read(data))) {
    if (value !== undefined) measured[name] = value;
  }
  return measured;
};

/** The data after the manufacturer's number, from a whole advertisement (length, type, data; …) or as it is. */
function manufacturerData(bytes: Buffer): Buffer | undefined {
  if (bytes.length >= 2 && bytes.readUInt16LE(0) === MANUFACTURER) return bytes.subarray(2);
  for (let at = 0; at + 1 < bytes.length; ) {
    const length = bytes[at]!;
    if (length === 0) return undefined;
    const isOurs = bytes[at + 1] === MANUFACTURER_DATA && at + 4 <= bytes.length && length >= 3;
    if (isOurs && bytes.readUInt16LE(at + 2) === MANUFACTURER) return bytes.subarray(at + 4, at + 1 + length);
    at += 1 + length;
  }
  return undefined;
}

interface Format {
  readonly length: number;
  read(data: Buffer): Record<string, number | undefined>;
}

const FORMATS: Readonly<Record<number, Format>> = {
  3: {
    length: 14,
    read: (data) => ({
      dataFormat: 3,
      humidity: data[1]! / 2,
      temperature: ((data[2]! & 0x7f) + data[3]! / 100) * (data[2]! < 0x80 ? 1 : -1),
      pressure: data.readUInt16BE(4) + 50_000,
      accelX: data.readInt16BE(6) / 1000,
      accelY: data.readInt16BE(8) / 1000,
      accelZ: data.readInt16BE(10) / 1000,
      voltage: data.readUInt16BE(12) / 1000,
    }),
  },
  5: {
    length: 18,
    read: (data) => ({
      dataFormat: 5,
      ...climate(data),
      accelX: signed(data, 7, 1000),
      accelY: signed(data, 9, 1000),
      accelZ: signed(data, 11, 1000),
      ...housekeeping(data, 13),
    }),
  },
  // Format 5 without the acceleration.
  197: {
    length: 12,
    read: (data) => ({ dataFormat: 0xc5, ...climate(data), ...housekeeping(data, 7) }),
  },
  6: {
    length: 17,
    read: (data) => ({
      dataFormat: 6,
      ...climate(data),
      'PM2.5': unsigned(data, 7, 10),
      CO2: unsigned(data, 9, 1),
      VOC: nineBits(data[11]!, data[16]!, 6),
      NOx: nineBits(data[12]!, data[16]!, 7),
      luminosity:
        data[13] === 0xff ? undefined : Math.round(Math.expm1((data[13]! * Math.log(65_536)) / 254) * 100) / 100,
      measurementSequenceNumber: data[15]!,
    }),
  },
  225: {
    length: 29,
    read: (data) => ({
      dataFormat: 0xe1,
      ...climate(data),
      'PM1.0': unsigned(data, 7, 10),
      'PM2.5': unsigned(data, 9, 10),
      'PM4.0': unsigned(data, 11, 10),
      'PM10.0': unsigned(data, 13, 10),
      CO2: unsigned(data, 15, 1),
      VOC: nineBits(data[17]!, data[28]!, 6),
      NOx: nineBits(data[18]!, data[28]!, 7),
      luminosity: threeBytes(data, 19, 100),
      measurementSequenceNumber: threeBytes(data, 25, 1),
    }),
  },
};

function climate(data: Buffer): Record<string, number | undefined> {
  const pressure = unsigned(data, 5, 1);
  return {
    temperature: signed(data, 1, 200),
    humidity: unsigned(data, 3, 400),
    pressure: pressure === undefined ? undefined : pressure + 50_000,
  };
}

function housekeeping(data: Buffer, at: number): Record<string, number | undefined> {
  const power = data.readUInt16BE(at);
  return {
    voltage: power >> 5 === 0x7ff ? undefined : ((power >> 5) + 1600) / 1000,
    txPower: (power & 0x1f) === 0x1f ? undefined : (power & 0x1f) * 2 - 40,
    movementCounter: data[at + 2] === 0xff ? undefined : data[at + 2]!,
    measurementSequenceNumber: unsigned(data, at + 3, 1),
  };
}

function signed(data: Buffer, at: number, divisor: number): number | undefined {
  const raw = data.readInt16BE(at);
  return raw === -0x8000 ? undefined : raw / divisor;
}

function unsigned(data: Buffer, at: number, divisor: number): number | undefined {
  const raw = data.readUInt16BE(at);
  return raw === 0xffff ? undefined : raw / divisor;
}

function threeBytes(data: Buffer, at: number, divisor: number): number | undefined {
  const raw = data.readUIntBE(at, 3);
  return raw === 0xffffff ? undefined : raw / divisor;
}

function nineBits(high: number, flags: number, bit: number): number | undefined {
  const value = high * 2 + ((flags >> bit) & 1);
  return value === 0x1ff ? undefined : value;
}
