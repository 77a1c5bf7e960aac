import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';

test('agrees with the vectors of RFC 3720 (iSCSI)', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e);
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});

test('takes a part of the bytes', () => {
  expect(crc32c(Buffer.from('..123456789.'), 2, 11)).toBe(0xe3069283);
});
