import { unzipSync } from 'fflate';
import { isRecord } from '../sequential/parse.ts';
import { invalid } from './limits.ts';

/** Inputs and the predictions that Keras made of them, row after row. */
export interface KerasSample {
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** Rows, where the file says: the first size of an array. */
  readonly count: number | undefined;
}

export const SAMPLE_BYTES = 64 * 1024 * 1024;

/**
 * A sample to check an imported model with. JSON: `{"x": [[…], …], "y": [[…], …]}`, nested as deep as the arrays are.
 * NPZ: `numpy.savez("sample.npz", x=x, y=y)`. CSV: one row of numbers a line, inputs then predictions.
 * @param inputs numbers of one row of inputs; for CSV, which does not tell
 * @throws MODEL_INVALID
 */
export function readSample(bytes: Uint8Array, inputs: number): KerasSample {
  if (bytes.length > SAMPLE_BYTES) throw invalid(`the sample has ${bytes.length} bytes, more than ${SAMPLE_BYTES}`);
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return fromNpz(bytes);
  if (bytes[0] === 0x93) throw invalid('the sample is one .npy array: save inputs and predictions with numpy.savez');
  const text = new TextDecoder().decode(bytes).trim();
  return text.startsWith('{') ? fromJson(text) : fromCsv(text, inputs);
}

function fromJson(text: string): KerasSample {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('the sample is no JSON');
  }
  const { x, y } = isRecord(value) ? value : {};
  if (!Array.isArray(x) || !Array.isArray(y)) throw invalid('the sample needs the lists x and y');
  const count = x.every(Array.isArray) && x.length === y.length ? x.length : undefined;
  return { x: flat('x', x), y: flat('y', y), count };
}

function flat(name: string, list: readonly unknown[]): Float32Array {
  const values = list.flat(4);
  if (!values.every((value) => typeof value === 'number')) throw invalid(`${name} of the sample holds no numbers`);
  return Float32Array.from(values as number[]);
}

function fromCsv(text: string, inputs: number): KerasSample {
  const rows = text.split(/\r?\n/).map((line) => line.split(',').map(Number));
  const width = rows[0]!.length;
  if (width <= inputs) throw invalid(`rows of the sample have ${width} numbers, the model reads ${inputs} already`);
  rows.forEach((row, i) => {
    if (row.length !== width || !row.every(Number.isFinite)) {
      throw invalid(`line ${i + 1} of the sample is no row of ${width} numbers`);
    }
  });
  return {
    x: Float32Array.from(rows.flatMap((row) => row.slice(0, inputs))),
    y: Float32Array.from(rows.flatMap((row) => row.slice(inputs))),
    count: rows.length,
  };
}

function fromNpz(bytes: Uint8Array): KerasSample {
  let parts: Record<string, Uint8Array>;
  try {
    parts = unzipSync(bytes, {
      filter: ({ name, originalSize }) => /^[xy]\.npy$/.test(name) && originalSize <= SAMPLE_BYTES,
    });
  } catch {
    throw invalid('the sample is a damaged archive');
  }
  const x = fromNpy('x', parts['x.npy']);
  const y = fromNpy('y', parts['y.npy']);
  return { x: x.data, y: y.data, count: x.rows };
}

const TYPES: Readonly<Record<string, readonly [bytes: number, read: (view: DataView, at: number) => number]>> = {
  '<f4': [4, (view, at) => view.getFloat32(at, true)],
  '<f8': [8, (view, at) => view.getFloat64(at, true)],
  '<i4': [4, (view, at) => view.getInt32(at, true)],
  '<i8': [8, (view, at) => Number(view.getBigInt64(at, true))],
};

/** An array as NumPy writes it (format version 1 to 3): magic, version, length of the head, head, values. */
function fromNpy(name: string, bytes: Uint8Array | undefined): { data: Float32Array; rows: number | undefined } {
  if (bytes === undefined) throw invalid(`the sample does not hold ${name}: numpy.savez("sample.npz", x=x, y=y)`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = bytes[6] !== 1;
  const from = long ? 12 : 10;
  if (bytes.length < from || bytes[0] !== 0x93) throw invalid(`${name} of the sample is no array of NumPy`);
  const start = from + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const head = new TextDecoder().decode(bytes.subarray(from, Math.min(start, from + 1000)));
  const type = /'descr': '([^']*)'/.exec(head)?.[1] ?? '';
  const shape = /'shape': \(([\d, ]*)\)/.exec(head)?.[1];
  const known = TYPES[type];
  if (known === undefined || shape === undefined || !head.includes("'fortran_order': False")) {
    throw invalid(
      `${name} of the sample: type ${type || 'unknown'}; float32, float64 and integers in C order are read`,
    );
  }
  const sizes = shape.split(',').filter((size) => size.trim() !== '');
  const count = sizes.reduce((product, size) => product * Number(size), 1);
  const [width, read] = known;
  if (bytes.length !== start + count * width) throw invalid(`${name} of the sample is cut off`);
  const data = Float32Array.from({ length: count }, (_, i) => read(view, start + i * width));
  return { data, rows: sizes.length > 1 ? Number(sizes[0]) : undefined };
}
