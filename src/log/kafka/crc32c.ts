/** CRC-32C (Castagnoli), as Kafka's record batches carry it; four bytes at a time. */
const T0 = new Int32Array(256);
const T1 = new Int32Array(256);
const T2 = new Int32Array(256);
const T3 = new Int32Array(256);
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  T0[i] = crc;
}
for (let i = 0; i < 256; i++) {
  T1[i] = (T0[i]! >>> 8) ^ T0[T0[i]! & 0xff]!;
  T2[i] = (T1[i]! >>> 8) ^ T0[T1[i]! & 0xff]!;
  T3[i] = (T2[i]! >>> 8) ^ T0[T2[i]! & 0xff]!;
}

/** @returns an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let crc = -1;
  let i = from;
  for (const whole = from + ((to - from) & ~3); i < whole; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc = T3[crc & 0xff]! ^ T2[(crc >>> 8) & 0xff]! ^ T1[(crc >>> 16) & 0xff]! ^ T0[crc >>> 24]!;
  }
  for (; i < to; i++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}
