import { refuseVersion } from '../state/column.ts';
import type { StoreCodec } from '../state/store.ts';
import type { ValueCodec } from './topology.ts';

export function versionOf<T>(codec: ValueCodec<T>): number {
  return codec.version ?? 1;
}

/** A value from the bytes of any version that the codec can read. @throws STATE_ORPHANED */
export function decodeValue<T>(codec: ValueCodec<T>, bytes: Uint8Array, version: number): T {
  if (version === versionOf(codec)) return codec.decode(bytes);
  if (codec.migrate === undefined) return refuseVersion('values', version, versionOf(codec));
  return codec.migrate(bytes, version);
}

/** The bytes of a value as the codec writes them now. @throws STATE_ORPHANED */
export function renewBytes<T>(codec: ValueCodec<T>, bytes: Uint8Array, version: number): Uint8Array {
  return version === versionOf(codec) ? bytes : codec.encode(decodeValue(codec, bytes, version));
}

/**
 * A store's codec for state that holds values as bytes: its version is that of the values.
 * @param renew reads state whose values are of an older version.
 */
export function withValues<S, T>(
  values: ValueCodec<T>,
  { encode, decode }: Pick<StoreCodec<S>, 'encode' | 'decode'>,
  renew: (old: S, version: number) => S,
): StoreCodec<S> {
  const codec: StoreCodec<S> = { version: versionOf(values), encode, decode };
  if (values.migrate !== undefined) codec.migrate = (bytes, version) => renew(decode(bytes), version);
  return codec;
}
