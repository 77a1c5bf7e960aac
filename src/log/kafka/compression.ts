import { createRequire } from 'node:module';
import zlib from 'node:zlib';

/** The codecs of Kafka's record batches. What any producer has written is read; what is written is a setting. */
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** By the number that stands in a batch's attributes. */
const CODECS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

export function codecNumber(compression: Compression): number {
  return CODECS.indexOf(compression);
}

/** Batches are below a megabyte on the wire; what claims to become larger than this is damaged. */
const LIMIT = 256 * 2 ** 20;
/** Snappy has no frame of its own in Kafka: Java wraps blocks with their lengths in this. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
const XERIAL_MAGIC = 8;
const BLOCK = 64 * 1024;

const require = createRequire(import.meta.url);

interface Snappy {
  compressSync(data: Uint8Array): Buffer;
  uncompressSync(data: Uint8Array, options: { asBuffer: true }): Buffer;
}

interface Lz4 {
  compressFrameSync(data: Buffer): Buffer;
  decompressFrameSync(data: Buffer): Buffer;
}

interface Zstd {
  compress(data: Buffer): Uint8Array;
  decompress(data: Buffer): Uint8Array;
}

let snappyLibrary: Snappy | undefined;
let lz4Library: Lz4 | undefined;
let zstdLibrary: Zstd | undefined;

function snappy(): Snappy {
  snappyLibrary ??= require('snappy') as Snappy;
  return snappyLibrary;
}

function lz4(): Lz4 {
  lz4Library ??= require('lz4-napi') as Lz4;
  return lz4Library;
}

/** From Node 22.15 on. */
const native = zlib as unknown as {
  zstdCompressSync?: (data: Buffer) => Buffer;
  zstdDecompressSync?: (data: Buffer, options: { maxOutputLength: number }) => Buffer;
};

/** Zstandard needs a moment before its first use where Node has none; everything else is loaded when it is met. */
export async function loadZstd(): Promise<void> {
  if (zstdLibrary !== undefined) return;
  const { zstdCompressSync, zstdDecompressSync } = native;
  if (zstdCompressSync !== undefined && zstdDecompressSync !== undefined) {
    const decompress = (data: Buffer) => zstdDecompressSync(data, { maxOutputLength: LIMIT });
    zstdLibrary = { compress: zstdCompressSync, decompress };
    return;
  }
  const wasm = require('@bokuweb/zstd-wasm') as {
    init(): Promise<void>;
    compress(data: Buffer): Uint8Array;
    decompress(data: Buffer, options: { defaultHeapSize: number }): Uint8Array;
  };
  await wasm.init();
  const decompress = (data: Buffer) => {
    // Java's producer does not say how long the content is: try with more room.
    for (let room = Math.max(2 ** 20, data.length * 8); ; room *= 4) {
      try {
        return wasm.decompress(data, { defaultHeapSize: room });
      } catch (error) {
        if (room > LIMIT) throw error;
      }
    }
  };
  zstdLibrary = { compress: wasm.compress, decompress };
}

function zstd(): Zstd {
  if (zstdLibrary === undefined) throw new Error('zstd is not loaded');
  return zstdLibrary;
}

export function compress(compression: Compression, data: Buffer): Uint8Array {
  if (compression === 'gzip') return zlib.gzipSync(data);
  if (compression === 'lz4') return lz4().compressFrameSync(data);
  if (compression === 'zstd') return zstd().compress(data);
  if (compression === 'none') return data;
  const pieces: Uint8Array[] = [XERIAL];
  for (let at = 0; at < data.length; at += BLOCK) {
    const block = snappy().compressSync(data.subarray(at, at + BLOCK));
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(block.length);
    pieces.push(length, block);
  }
  return Buffer.concat(pieces);
}

/** @throws where the data is damaged, the codec unknown, or its library cannot be loaded on this machine. */
export function decompress(codec: number, data: Buffer): Buffer {
  const compression = CODECS[codec];
  if (compression === 'none') return data;
  if (compression === 'gzip') return zlib.gunzipSync(data, { maxOutputLength: LIMIT });
  if (compression === 'lz4') return lz4().decompressFrameSync(data);
  if (compression === 'zstd') {
    const content = zstd().decompress(data);
    return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  }
  if (compression !== 'snappy') throw new Error(`codec ${codec} is unknown`);
  if (XERIAL.compare(data, 0, XERIAL_MAGIC, 0, XERIAL_MAGIC) !== 0) return unsnappy(data);
  const pieces: Buffer[] = [];
  for (let at = XERIAL.length; at < data.length; ) {
    const length = data.readInt32BE(at);
    pieces.push(unsnappy(data.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return Buffer.concat(pieces);
}

function unsnappy(data: Buffer): Buffer {
  return snappy().uncompressSync(data, { asBuffer: true });
}
