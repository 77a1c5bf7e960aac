/** One metric, as the wire has it. */
export interface Metric {
  readonly name: string | undefined;
  readonly alias: string | undefined;
  /** Milliseconds since the epoch. */
  readonly timestamp: number | undefined;
  /** Number of the data type in the Sparkplug specification, or undefined where data leave it to the birth. */
  readonly datatype: number | undefined;
  readonly historical: boolean;
  readonly isNull: boolean;
  /** Integers as 64 bits without sign, as they are on the wire; undefined for what is no plain value. */
  readonly value: bigint | number | boolean | string | undefined;
  /** What an array of numbers is packed into; its data type says how. */
  readonly bytes?: Uint8Array | undefined;
  /** Metrics of a template instance, cells of a data set, entries of an array. */
  readonly members: readonly Metric[];
}

export interface SparkplugPayload {
  readonly timestamp: number | undefined;
  readonly seq: number | undefined;
  readonly metrics: readonly Metric[];
}
