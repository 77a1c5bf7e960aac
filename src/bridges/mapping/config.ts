import type { PayloadFormat } from '../formats/format.ts';
import type { SparkplugOptions } from '../sparkplug/options.ts';
import type { RejectReason } from './reject.ts';
import type { TimeFormat } from './time.ts';

/** What messages mean: the first rule whose topic filter matches decides. Plain data, as configuration writes it. */
export interface MappingConfig {
  readonly rules: readonly (RuleConfig | PresetConfig)[];
  readonly limits?: Partial<MappingLimits>;
  /** What becomes of what cannot be mapped; by default all but `no-values` and `ignored` are kept as dead letters. */
  readonly onReject?: Readonly<Partial<Record<RejectReason, RejectPolicy>>>;
}

export type RejectPolicy = 'dead-letter' | 'drop';

/** Stands for the rules of a preset: `{preset: tasmota, zone: Europe/Berlin}`. */
export interface PresetConfig extends PresetOptions {
  readonly preset: string;
}

export interface PresetOptions {
  /** The first level (or levels) of the topics, where it is not the usual one. */
  readonly base?: string;
  /** IANA zone of the devices' local times. Without it the arrival counts where a time says no zone. */
  readonly zone?: string;
  /** Format of payloads in base64 or hex that the network server did not decode. */
  readonly codec?: PayloadFormat;
  /**
   * Sensors that a gateway passes on are named below it, `<gateway>/<sensor>`: so no gateway can write to the series of
   * others, and a sensor that two gateways hear is two devices. Of tasmota, openmqttgateway, shelly and ruuvi-gateway.
   * Default false.
   */
  readonly perGateway?: boolean;
  /** Highest QoS to subscribe with. Default 1. */
  readonly qos?: 0 | 1 | 2;
}

export interface RuleConfig extends PartConfig {
  /**
   * Topic filter with named wildcards: `zigbee2mqtt/+device`, `v3/+app/devices/+device/up`, `site/#rest`. Beyond MQTT, `#`
   * may stand before the last level: `tele/#device/SENSOR` (what is subscribed to is `tele/#`).
   */
  readonly topic: string;
  /** Messages that match are counted (as `ignored`, or as `no-values`) and go no further, whatever they hold. */
  readonly ignore?: boolean | 'no-values';
  /** Default `json`. */
  readonly format?: PayloadFormat;
  /** JSONata that turns the payload into another one; the names of the topic's wildcards are its variables. */
  readonly transform?: string;
  /**
   * Several kinds of readings in one message: each branch is tried, with the rule's own fields where it has none. Readings
   * of one device and one time become one.
   */
  readonly branches?: readonly PartConfig[];
  /** The topics are Sparkplug B's (`spBv1.0/#`): births, data and deaths of edge nodes; other fields mean nothing then. */
  readonly sparkplug?: SparkplugOptions;
  /** Highest QoS to subscribe with. Default 1. */
  readonly qos?: 0 | 1 | 2;
}

/** How a message, or a part of it, becomes a reading. */
export interface PartConfig {
  /**
   * Name of the device, of `{wildcard}` and `{path}` of the payload (`{$.deviceInfo.devEui}`, `{mac}`) and, with `each`,
   * `{key}` (what the last wildcard of `each` stood for) and `{parentKey}` (the one before it). Default `{device}`.
   */
  readonly device?: string;
  /** A message with many parts (a gateway's, a batch): path with `*` for each of them; paths then start at the part. */
  readonly each?: string;
  /** Only parts (or messages) of which this holds; without any the message has no values. */
  readonly where?: WhereConfig;
  /** A payload in the payload, such as LoRaWAN's base64: paths then start at what it holds, `$` stays the message. */
  readonly inner?: InnerConfig;
  /** Where the time stands and how it is written. Without it the arrival counts. */
  readonly time?: TimeConfig;
  /** Quantities by name, and where they stand. Names may hold `{wildcard}`, `{key}` and `{path}`. */
  readonly values?: Readonly<Record<string, string | ValueConfig>>;
  /**
   * The fields that `values` does not name: `numbers` takes those that are numbers and leaves out what stands beside them,
   * `strict` takes all and refuses the message where one is no number (for devices of which a text in place of a number
   * must not go unnoticed), `ignore` takes none. Default `numbers` without `values`, otherwise `ignore`.
   */
  readonly rest?: 'strict' | 'numbers' | 'ignore';
  /** With `rest`: names (with `*`) that are left out, such as `linkquality` or `wifi.*`. */
  readonly exclude?: readonly string[];
  /** With `rest`: only these names (with `*`). */
  readonly include?: readonly string[];
  /** With `rest`: objects that hold one of these fields are left out; another branch takes them as devices. */
  readonly skipWith?: readonly string[];
  /** With `rest`: text such as "21.5" counts as a number. Default false. */
  readonly numericText?: boolean;
  /** With `rest`: true and false count as 1 and 0, everywhere or for these names (with `*`). Default false. */
  readonly booleans?: boolean | readonly string[];
  /** With `rest`: a place to start at, such as `uplink_message.decoded_payload`. */
  readonly under?: string;
  /** With `rest`: stands before every name; may hold `{wildcard}`, `{key}` and `{path}`. */
  readonly prefix?: string;
  /** Units by quantity (with `*`): as they are sent, and as they shall be kept. */
  readonly units?: Readonly<Record<string, UnitConfig>>;
}

/**
 * `mac`: there is something at this path. `!mac`: there is nothing. `{cmd: [rx, gw]}`: one of these stands there (with `*`),
 * `{'!cmd': [rx, gw]}`: none of them; in place of a path a template such as `{component}` may be given. A list: all of
 * these hold.
 */
export type WhereConfig = string | WhereValues | readonly (string | WhereValues)[];
export type WhereValues = Readonly<Record<string, readonly (string | number | boolean)[]>>;

export interface InnerConfig {
  readonly path: string;
  /** Default `base64`. `text` is a payload that was put into a JSON string; an object is taken as it is. */
  readonly encoding?: 'base64' | 'hex' | 'text';
  readonly format: PayloadFormat;
  /** What cannot be decoded has no values, instead of being refused. Default false. */
  readonly lenient?: boolean;
}

export interface UnitConfig {
  /** The unit that the device sends; with `path`, where nothing stands there. */
  readonly from?: string;
  /** Where the payload names its unit. */
  readonly path?: string;
  /** The unit to keep. */
  readonly to: string;
}

export interface TimeConfig {
  readonly path: string;
  /** Default `auto`: a number by its magnitude, otherwise ISO 8601. */
  readonly format?: TimeFormat;
  /** IANA zone of times that say none. */
  readonly zone?: string;
  /** Takes the arrival where the field is missing or null, instead of refusing the message. Default false. */
  readonly optional?: boolean;
  /** Takes the arrival also where the time cannot be read or cannot be right: a clock that was never set. Default false. */
  readonly lenient?: boolean;
}

export interface ValueConfig {
  readonly path: string;
  /** A message without it is right too. Default false. */
  readonly optional?: boolean;
  /** Text that stands for a number: `{ ON: 1, OFF: 0 }`. */
  readonly states?: Readonly<Record<string, number>>;
  /** Text such as "21.5" counts as a number. Default false. */
  readonly numericText?: boolean;
  /** What is no number counts as missing, instead of refusing the message. Default false. */
  readonly lenient?: boolean;
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
  rules: [{ topic: 'fleet/+device', time: { path: 'time', optional: true }, rest: 'numbers' }],
};
