import type { SchemaName } from '../../events/schema-registry.ts';

/**
 * How values look on the wire. Inside, every record is in Avro single-object encoding; a format turns that into what
 * other programs expect, and back. Both ways are immediate for what is known already; `undefined` asks for the
 * preparation to be awaited first. Values that are not ours go through as they are, both ways.
 */
export interface WireFormat {
  /** @param value in single-object encoding. */
  write(topic: string, value: Uint8Array): Uint8Array | undefined;
  /** After it, `write` of the same value is immediate. @throws REGISTRY_UNAVAILABLE, REGISTRY_REFUSED, LOG_UNAVAILABLE */
  prepareWrite(topic: string, value: Uint8Array): Promise<void>;
  /** @returns the value in single-object encoding. */
  read(topic: string, value: Uint8Array): Uint8Array | undefined;
  /** After it, `read` of the same value is immediate. @throws REGISTRY_UNAVAILABLE, REGISTRY_REFUSED, LOG_UNAVAILABLE */
  prepareRead(topic: string, value: Uint8Array): Promise<void>;
  /** Makes the schemas of the topics known to others, before the first record. */
  announce(topics: readonly string[]): Promise<void>;
}

/** Which records a topic holds; topics that are not named are nobody's business but ours and stay as they are. */
export type TopicRecords = ReadonlyMap<string, readonly SchemaName[]>;
