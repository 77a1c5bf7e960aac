import { canMigrate, decodeVersion } from './heap-store.ts';
import type { GlobalStore, StoreCodec } from './store.ts';

/** A global store: one value for the task. */
export class GlobalCell<V> implements GlobalStore<V> {
  readonly name: string;
  readonly #codec: StoreCodec<V>;
  #value: V;

  constructor(name: string, codec: StoreCodec<V>, initial: V) {
    this.name = name;
    this.#codec = codec;
    this.#value = initial;
  }

  get version(): number {
    return this.#codec.version;
  }

  get(): V {
    return this.#value;
  }

  set(value: V): void {
    this.#value = value;
  }

  encode(): Uint8Array {
    return this.#codec.encode(this.#value);
  }

  reads(version: number): boolean {
    return version === this.#codec.version || canMigrate(this.#codec, version);
  }

  /** @throws STATE_ORPHANED for a version that the codec can neither read nor migrate. */
  restore(version: number, bytes: Uint8Array): void {
    this.#value = decodeVersion(this.name, this.#codec, version, bytes);
  }

  copy(): V {
    return this.#codec.decode(this.encode());
  }
}
