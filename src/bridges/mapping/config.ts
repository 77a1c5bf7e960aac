import type { RejectReason } from './reject.ts';
import type { TimeFormat } from './time.ts';

/** What messages mean: the first rule whose topic filter matches decides. Plain data, as configuration writes it. */
export interface MappingConfig {
  readonly rules: readonly RuleConfig[];
  readonly limits?: Partial<MappingLimits>;
  /** What becomes of what cannot be mapped; by default all but `no-values` and `ignored` are kept as dead letters. */
  readonly onReject?: Readonly<Partial<Record<RejectReason, RejectPolicy>>>;
}

export type RejectPolicy = 'dead-letter' | 'drop';

export type PayloadFormat = 'json' | 'number' | 'text' | 'key-value';

export interface RuleConfig {
  /** Topic filter with named wildcards: `zigbee2mqtt/+device`, `v3/+app/devices/+device/up`, `site/#rest`. */
  readonly topic: string;
  /** Messages that match are counted and go no further. */
  readonly ignore?: boolean;
  /** Default `json`. */
  readonly format?: PayloadFormat;
  /**
   * Name of the device, of `{wildcard}` and `{path}` of the payload (`{$.deviceInfo.devEui}`, `{mac}`) and, with `each`,
   * `{key}`. Default `{device}`.
   */
  readonly device?: string;
  /** A message with many parts (a gateway's, a batch): path with `*` for each of them; paths then start at the part. */
  readonly each?: string;
  /** Where the time stands and how it is written. Without it the arrival counts. */
  readonly time?: TimeConfig;
  /** Quantities by name, and where they stand. */
  readonly values?: Readonly<Record<string, string | ValueConfig>>;
  /**
   * The fields that `values` does not name: `strict` takes all and refuses the message where one is no number, `numbers`
   * takes those that are numbers, `ignore` none. Default `strict` without `values`, otherwise `ignore`.
   */
  readonly rest?: 'strict' | 'numbers' | 'ignore';
  /** With `rest`: names (with `*`) that are left out, such as `linkquality` or `wifi.*`. */
  readonly exclude?: readonly string[];
  /** With `rest`: only these names (with `*`). */
  readonly include?: readonly string[];
  /** With `rest`: text such as "21.5" counts as a number. Default false. */
  readonly numericText?: boolean;
  /** With `rest`: true and false count as 1 and 0. Default false. */
  readonly booleans?: boolean;
  /** With `rest`: a place to start at, such as `uplink_message.decoded_payload`. */
  readonly under?: string;
  /** Highest QoS to subscribe with. Default 1. */
  readonly qos?: 0 | 1 | 2;
}

export interface TimeConfig {
  readonly path: string;
  /** Default `auto`: a number by its magnitude, otherwise ISO 8601. */
  readonly format?: TimeFormat;
  /** IANA zone of times that say none. */
  readonly zone?: string;
  /** Takes the arrival where the field is missing or null, instead of refusing the message. Default false. */
  readonly optional?: boolean;
}

export interface ValueConfig {
  readonly path: string;
  /** A message without it is right too. Default false. */
  readonly optional?: boolean;
  /** Text that stands for a number: `{ ON: 1, OFF: 0 }`. */
  readonly states?: Readonly<Record<string, number>>;
  /** Text such as "21.5" counts as a number. Default false. */
  readonly numericText?: boolean;
  /** `value × scale + offset` is kept. */
  readonly scale?: number;
  readonly offset?: number;
}

export interface MappingLimits {
  readonly maxTopicBytes: number;
  readonly maxPayloadBytes: number;
  /** Nesting of a payload, as far as it is walked through. */
  readonly maxDepth: number;
  /** Values of one reading. */
  readonly maxValues: number;
  /** Parts of one message. */
  readonly maxParts: number;
  /** UTF-8 bytes of a device's name. */
  readonly maxDeviceNameBytes: number;
  readonly maxQuantityNameBytes: number;
  /** Distinct devices since the start; further ones are refused. */
  readonly maxDevices: number;
  /** Distinct quantity names since the start, over all devices. */
  readonly maxQuantities: number;
  /** Readings older than this are refused. Milliseconds since the epoch. */
  readonly earliestTime: number;
  /** Readings further ahead of their arrival are refused (smaller clock errors are the pipeline's matter). */
  readonly maxAheadMs: number;
}

export const DEFAULT_LIMITS: MappingLimits = {
  maxTopicBytes: 1024,
  maxPayloadBytes: 256 * 1024,
  maxDepth: 16,
  maxValues: 256,
  maxParts: 10_000,
  maxDeviceNameBytes: 256,
  maxQuantityNameBytes: 128,
  maxDevices: 250_000,
  maxQuantities: 10_000,
  earliestTime: Date.UTC(2000, 0, 1),
  maxAheadMs: 7 * 86_400_000,
};

/** `fleet/<device>` with `{"time": …, "<quantity>": number, …}`: what `fleetcast publish` and the demo send. */
export const DEFAULT_MAPPING: MappingConfig = {
  rules: [{ topic: 'fleet/+device', time: { path: 'time', optional: true }, rest: 'strict' }],
};
