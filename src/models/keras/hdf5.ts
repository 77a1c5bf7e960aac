import h5wasm, { Dataset, type Entity, ExternalLink, File, Group } from 'h5wasm';
import { isFleetcastError } from '../../errors.ts';
import { invalid, KERAS_LIMITS } from './limits.ts';

let opened = 0;

/**
 * An HDF5 file in memory, read with nothing of the machine in reach: the library runs in WebAssembly on a file system
 * of its own that holds this file alone, so that links out of the file lead nowhere. They are refused all the same.
 */
export class Hdf5 {
  readonly #file: File;
  readonly #path: string;
  readonly #remove: () => void;

  private constructor(file: File, path: string, remove: () => void) {
    this.#file = file;
    this.#path = path;
    this.#remove = remove;
  }

  /** @throws MODEL_INVALID */
  static async open(bytes: Uint8Array): Promise<Hdf5> {
    const { FS } = await h5wasm.ready;
    const path = `/${opened++}.h5`;
    FS.writeFile(path, bytes);
    const remove = () => {
      try {
        FS.unlink(path);
      } catch {
        // The library keeps damaged files open.
      }
    };
    const file = guarded('the file', () => new File(path, 'r'));
    if (file.file_id < 0n) {
      remove();
      throw invalid('the file is no HDF5 file, or damaged');
    }
    return new Hdf5(file, path, remove);
  }

  close(): void {
    try {
      this.#file.close();
    } catch {
      // Nothing was written.
    }
    this.#remove();
  }

  /** Strings of an attribute: one or a list. @returns undefined where there is none @throws MODEL_INVALID */
  strings(path: string, name: string): string[] | undefined {
    return guarded(`attribute ${name} of ${path}`, () => {
      const group = this.#group(path);
      const attribute = Object.hasOwn(group.attrs, name) ? group.attrs[name]! : undefined;
      if (attribute === undefined) return undefined;
      const { metadata } = attribute;
      const bytes = metadata.size * Number(metadata.total_size);
      if (!(bytes <= KERAS_LIMITS.attributeBytes)) throw invalid(`attribute ${name} of ${path} has ${bytes} bytes`);
      if (metadata.total_size === 0) return [];
      const value = attribute.value;
      const list = Array.isArray(value) ? value : value === null ? [] : [value];
      return list.map((item) => {
        if (typeof item !== 'string') throw invalid(`attribute ${name} of ${path} is no text`);
        return item;
      });
    });
  }

  has(path: string): boolean {
    return guarded(path, () => this.#find(path) !== undefined);
  }

  /**
   * A dataset as single-precision values; the shape is compared before anything is read.
   * @throws MODEL_INVALID
   */
  floats(path: string, shape: readonly number[]): Float32Array {
    return guarded(path, () => {
      const dataset = this.#find(path);
      if (!(dataset instanceof Dataset))
        throw invalid(`the file does not hold ${path}: it is cut off or of another kind`);
      const { metadata } = dataset;
      if ((metadata.shape ?? []).join() !== shape.join()) {
        throw invalid(`${path} has the shape [${metadata.shape ?? ''}], expected [${shape}]`);
      }
      // Class 1 is floating point.
      if (metadata.type !== 1 || (metadata.size !== 4 && metadata.size !== 8) || !metadata.littleEndian) {
        throw invalid(`${path} holds values of another type than float32 or float64`);
      }
      const value = dataset.value;
      const count = shape.reduce((product, n) => product * n, 1);
      const data =
        value instanceof Float32Array || value instanceof Float64Array
          ? Float32Array.from(value)
          : Float32Array.of(Number(value));
      if (data.length !== count) throw invalid(`${path} holds ${data.length} values for the shape [${shape}]`);
      if (!data.every(Number.isFinite)) throw invalid(`${path} holds a value that is not finite`);
      return data;
    });
  }

  #group(path: string): Group {
    const group = this.#find(path);
    if (!(group instanceof Group)) throw invalid(`the file does not hold the group ${path}`);
    return group;
  }

  /** Walks part by part, so that a link out of the file is seen wherever it stands. */
  #find(path: string): Entity | undefined {
    let at: Entity = this.#file;
    for (const part of path.split('/').filter((name) => name !== '')) {
      if (!(at instanceof Group) || part === '.' || part === '..') return undefined;
      if (!at.keys().includes(part)) return undefined;
      const next: Entity | null = at.get(part);
      if (next instanceof ExternalLink)
        throw invalid(`${path} is a link to another file (${this.#path} is read alone)`);
      if (next === null) return undefined;
      at = next;
    }
    return at;
  }
}

/** Anything that the library throws means a damaged file: WebAssembly traps, failed allocations, its own errors. */
function guarded<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isFleetcastError(error)) throw error;
    throw invalid(`${what} cannot be read: the file is damaged`);
  }
}
