/** The same bytes as a Buffer, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A record's key as text; empty for none. */
export function keyText(key: Uint8Array | null): string {
  return key === null ? '' : asBuffer(key).toString('utf8');
}
