import { describe, expect, it } from 'vitest';
import type { Reject } from '../mapping/reject.ts';
import { decodeRuuvi } from './ruuvi.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const advert = (data: string) => {
  const bytes = hex(`ff9904${data}`);
  return Buffer.concat([hex('020106'), Buffer.from([bytes.length]), bytes]);
};

/** The test vectors of Ruuvi's documentation of the data formats. */
describe('Ruuvi advertisements', () => {
  it('reads data format 5', () => {
    expect(decodeRuuvi(advert('0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F'))).toEqual({
      dataFormat: 5,
      temperature: 24.3,
      humidity: 53.49,
      pressure: 100_044,
      accelX: 0.004,
      accelY: -0.004,
      accelZ: 1.036,
      voltage: 2.977,
      txPower: 4,
      movementCounter: 66,
      measurementSequenceNumber: 205,
    });
  });
  it('reads data format C5, which is 5 without the acceleration', () => {
    expect(decodeRuuvi(advert('C512FC5394C37CAC364200CDCBB8334C884F'))).toEqual({
      dataFormat: 0xc5,
      temperature: 24.3,
      humidity: 53.49,
      pressure: 100_044,
      voltage: 2.977,
      txPower: 4,
      movementCounter: 66,
      measurementSequenceNumber: 205,
    });
    expect(decodeRuuvi(advert('C57FFFFFFEFFFEFFDEFEFFFECBB8334C884F'))).toEqual({
      dataFormat: 0xc5,
      temperature: 163.835,
      humidity: 163.835,
      pressure: 115_534,
      voltage: 3.646,
      txPower: 20,
      movementCounter: 254,
      measurementSequenceNumber: 65_534,
    });
    expect(decodeRuuvi(advert('C58001000000000000000000CBB8334C884F'))).toEqual({
      dataFormat: 0xc5,
      temperature: -163.835,
      humidity: 0,
      pressure: 50_000,
      voltage: 1.6,
      txPower: -40,
      movementCounter: 0,
      measurementSequenceNumber: 0,
    });
  });
  it('leaves out what is not available', () => {
    expect(decodeRuuvi(advert('C58000FFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'))).toEqual({ dataFormat: 0xc5 });
    expect(decodeRuuvi(advert('058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF'))).toEqual({ dataFormat: 5 });
    expect(decodeRuuvi(advert('068000FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'))).toEqual({
      dataFormat: 6,
      measurementSequenceNumber: 255,
    });
  });
  it('reads data format 3, also with the sign of the temperature', () => {
    expect(decodeRuuvi(hex('9904 03291A1ECE1EFC18F94202CA0B53'))).toEqual({
      dataFormat: 3,
      humidity: 20.5,
      temperature: 26.3,
      pressure: 102_766,
      accelX: -1,
      accelY: -1.726,
      accelZ: 0.714,
      voltage: 2.899,
    });
    expect(decodeRuuvi(hex('9904 03009A1E00000000000000000000'))).toMatchObject({ temperature: -26.3 });
  });
  it('reads data format 6', () => {
    expect(decodeRuuvi(advert('06170C5668C79E007000C90501D9FFCD004C884F'))).toEqual({
      dataFormat: 6,
      temperature: 29.5,
      humidity: 55.3,
      pressure: 101_102,
      'PM2.5': 11.2,
      CO2: 201,
      VOC: 10,
      NOx: 2,
      luminosity: 13_026.67,
      measurementSequenceNumber: 205,
    });
  });
  it('reads data format E1', () => {
    expect(
      decodeRuuvi(advert('E1170C5668C79E0065007004BD11CA00C90A0213E0ACFFFFFFDECDEE10FFFFFFFFFFCBB8334C884F')),
    ).toEqual({
      dataFormat: 0xe1,
      temperature: 29.5,
      humidity: 55.3,
      pressure: 101_102,
      'PM1.0': 10.1,
      'PM2.5': 11.2,
      'PM4.0': 121.3,
      'PM10.0': 455.4,
      CO2: 201,
      VOC: 20,
      NOx: 4,
      luminosity: 13_027,
      measurementSequenceNumber: 14_601_710,
    });
  });
  it.each([
    ['no-values', '0201181BFF7500420401017668FCCA8A498D6AFCCA8A498C01000000000000'],
    ['no-values', ''],
    ['no-values', '02'],
    ['no-values', '03ff9904'],
    ['malformed', '06ff99040512FC'],
    ['no-values', '05ff990404ff'],
  ])('refuses with %s: %s', (reason, text) => {
    try {
      decodeRuuvi(hex(text));
      expect.unreachable();
    } catch (error) {
      expect((error as Reject).reason).toBe(reason);
    }
  });
});
