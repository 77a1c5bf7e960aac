import { FleetcastError } from '../../errors.ts';
import { expandPreset } from '../presets/presets.ts';
import type { Command, MemoryRecord, SparkplugDevice } from '../sparkplug/host.ts';
import { DEFAULT_LIMITS, type MappingConfig, type MappingLimits, type RejectPolicy } from './config.ts';
import type { MappedReading, Rejected } from './part.ts';
import { DROPPED_BY_DEFAULT, excerpt, REJECT_REASONS, Reject, type RejectReason } from './reject.ts';
import { compileRule, type Rule, type RuleResult } from './rule.ts';
import { type Subscription, subscriptionsFor } from './subscriptions.ts';
import type { OnLeftOut } from './values.ts';

export interface Mapped {
  readonly readings: readonly MappedReading[];
  readonly rejected: readonly Rejected[];
  /** Topic filter of the rule that matched, or undefined. */
  readonly rule: string | undefined;
  /** What the mapping must know again after a restart: to be kept by key, before the message is acknowledged. */
  readonly memory?: readonly MemoryRecord[];
  /** What devices are to be told, such as Sparkplug's request for a rebirth. */
  readonly commands?: readonly Command[];
}

/** Turns messages into readings. Never throws on what a device has sent: what cannot be mapped is in `rejected`. */
export interface Mapping {
  /** Topic filters of the rules in their order, presets written out: what {@link Mapped.rule} names. */
  readonly filters: readonly string[];
  /** What to subscribe to. */
  readonly subscriptions: readonly Subscription[];
  /** @param arrival ingest time in milliseconds since the epoch. */
  map(topic: string, payload: Uint8Array, arrival: number): Mapped;
  /** The rule that a topic goes to, and whether that rule leaves it out; undefined where none matches. */
  ruleFor(topic: string): { readonly filter: string; readonly ignored: boolean } | undefined;
  policy(reason: RejectReason): RejectPolicy;
  /** True where messages give {@link Mapped.memory}. */
  readonly remembers: boolean;
  /** Takes back what an earlier run has given as {@link Mapped.memory}; before the first message. */
  restore(key: string, value: Uint8Array): void;
  /** Counts these devices as known, as far as there is room: what comes from them is not one too many. */
  admit(devices: Iterable<string>): void;
  /** Devices that say when they come and go (Sparkplug): those that are not online have stale values. */
  presence(): readonly SparkplugDevice[];
  /** Distinct devices and quantities seen since the start. */
  size(): { readonly devices: number; readonly quantities: number };
}

/**
 * @param onLeftOut told, while a message is mapped, of each field that is no number and is left out for that.
 * @throws CONFIG_INVALID, naming the rule and the field.
 */
export function compileMapping(config: MappingConfig, onLeftOut?: OnLeftOut): Mapping {
  const limits: MappingLimits = { ...DEFAULT_LIMITS, ...config.limits };
  for (const reason of Object.keys(config.onReject ?? {})) {
    if (REJECT_REASONS.some((known) => known === reason)) continue;
    const message = `mapping.onReject: no reason is called ${JSON.stringify(reason)}; there are ${REJECT_REASONS.join(', ')}`;
    throw new FleetcastError('CONFIG_INVALID', message, { details: { field: 'mapping.onReject' } });
  }
  const rules = config.rules
    .flatMap((rule) => ('preset' in rule ? expandPreset(rule) : [rule]))
    .map((rule) => compileRule(rule, limits, onLeftOut));
  const hosts = rules.flatMap(({ host }) => (host === undefined ? [] : [host]));
  const route = router(rules);
  const devices = new Set<string>();
  const quantities = new Set<string>();

  /** Why this reading must not go on, whatever rule made it. */
  const check = (reading: MappedReading, arrival: number): Rejected | undefined => {
    const { device, time, values } = reading;
    const no = (reason: RejectReason, message: string): Rejected => ({ reason, message, device });
    if (!Number.isFinite(time) || time < limits.earliestTime || time > arrival + limits.maxAheadMs) {
      return no('time-out-of-range', `time ${timeText(time)} is before the earliest or too far ahead of the arrival`);
    }
    if (!devices.has(device)) {
      if (badName(device, limits.maxDeviceNameBytes)) {
        return { reason: 'bad-device-name', message: `${excerpt(device)} cannot be a device`, device: '' };
      }
      if (devices.size >= limits.maxDevices) {
        return no('too-many-devices', `${excerpt(device)} would be more than ${limits.maxDevices} devices`);
      }
    }
    const names = Object.keys(values);
    if (names.length > limits.maxValues) {
      return no('too-many-values', `${names.length} values in one reading; at most ${limits.maxValues}`);
    }
    for (const name of names) {
      if (quantities.has(name)) continue;
      if (badName(name, limits.maxQuantityNameBytes)) {
        return no('bad-quantity-name', `${excerpt(name)} cannot be a quantity`);
      }
      if (quantities.size >= limits.maxQuantities) {
        return no('too-many-quantities', `${excerpt(name)} would be more than ${limits.maxQuantities} quantities`);
      }
      quantities.add(name);
    }
    devices.add(device);
    return undefined;
  };

  const wholly = (reason: RejectReason, message: string, rule?: string, device = ''): Mapped => ({
    readings: [],
    rejected: [{ reason, message, device }],
    rule,
  });
  const deviceOf = (topic: string, { rule, captures }: Route): string => {
    const device = rule.deviceOf(topic, captures);
    return badName(device, limits.maxDeviceNameBytes) ? '' : device;
  };

  return {
    filters: rules.map(({ filter }) => filter.source),
    subscriptions: subscriptionsFor(rules),
    map: (topic, payload, arrival) => {
      if (topic.length > limits.maxTopicBytes) {
        return wholly('topic-too-long', `a topic of ${topic.length} characters`);
      }
      const found = route(topic);
      if (found === undefined) return wholly('no-mapping', `no rule matches ${excerpt(topic)}`);
      const name = found.rule.filter.source;
      if (leavesOut(found.rule)) {
        const reason = found.rule.config.ignore === true ? 'ignored' : 'no-values';
        return wholly(reason, 'the mapping leaves this topic out', name);
      }
      if (payload.length > limits.maxPayloadBytes) {
        const message = `${payload.length} bytes; at most ${limits.maxPayloadBytes}`;
        return wholly('payload-too-large', message, name, deviceOf(topic, found));
      }
      let result: RuleResult;
      try {
        result = found.rule.apply({ topic, captures: found.captures, payload, arrival });
      } catch (error) {
        if (!(error instanceof Reject)) throw error;
        return wholly(error.reason, error.message, name, deviceOf(topic, found));
      }
      const { rejected } = result;
      const good = result.readings.filter((reading) => {
        const bad = check(reading, arrival);
        if (bad !== undefined) rejected.push(bad);
        return bad === undefined;
      });
      const { memory = [], commands = [] } = result;
      return {
        readings: good,
        rejected,
        rule: name,
        ...(memory.length === 0 ? {} : { memory }),
        ...(commands.length === 0 ? {} : { commands }),
      };
    },
    ruleFor: (topic) => {
      const found = route(topic);
      return found && { filter: found.rule.filter.source, ignored: leavesOut(found.rule) };
    },
    policy: (reason) => config.onReject?.[reason] ?? (DROPPED_BY_DEFAULT.has(reason) ? 'drop' : 'dead-letter'),
    remembers: hosts.length > 0,
    restore: (key, value) => {
      if (!key.startsWith('sparkplug/')) return;
      for (const host of hosts) host.restore(value);
    },
    admit: (known) => {
      for (const device of known) if (devices.size < limits.maxDevices) devices.add(device);
    },
    presence: () => hosts.flatMap((host) => host.devices()),
    size: () => ({ devices: devices.size, quantities: quantities.size }),
  };
}

function leavesOut({ config: { ignore } }: Rule): boolean {
  return ignore === true || ignore === 'no-values';
}

interface Route {
  readonly rule: Rule;
  readonly captures: ReadonlyMap<string, string>;
}

/** Finds the first rule that matches; topics of usual length are remembered, up to a bound. */
function router(rules: readonly Rule[]): (topic: string) => Route | undefined {
  const known = new Map<string, Route | undefined>();
  return (topic) => {
    const cached = known.get(topic);
    if (cached !== undefined || known.has(topic)) return cached;
    let found: Route | undefined;
    for (const rule of rules) {
      const captures = rule.filter.match(topic);
      if (captures === undefined) continue;
      found = { rule, captures };
      break;
    }
    if (topic.length <= 200) {
      if (known.size >= 20_000) known.clear();
      known.set(topic, found);
    }
    return found;
  };
}

/** Empty, too long, with control characters or with half of a surrogate pair. */
function badName(name: string, maxBytes: number): boolean {
  if (name.trim() === '' || name === '__proto__' || name.length > maxBytes) return true;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return /\p{Surrogate}/u.test(name) || Buffer.byteLength(name) > maxBytes;
}

function timeText(time: number): string {
  return Number.isFinite(time) && Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
