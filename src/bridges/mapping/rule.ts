import { FleetcastError } from '../../errors.ts';
import type { MappingLimits, RuleConfig } from './config.ts';
import { DECODERS } from './formats.ts';
import { compileEach, compilePath, type Part } from './path.ts';
import { Reject } from './reject.ts';
import { compileTemplate } from './template.ts';
import { compileTime } from './time.ts';
import { parseTopicFilter, type TopicFilter } from './topic-filter.ts';
import { compileRest, compileValue } from './values.ts';

export interface MappedReading {
  readonly device: string;
  /** Event time. */
  readonly time: number;
  readonly values: Record<string, number>;
}

export interface Rejected {
  readonly reason: Reject['reason'];
  readonly message: string;
  /** The device, as far as it was known. */
  readonly device: string;
}

export interface Rule {
  readonly config: RuleConfig;
  readonly filter: TopicFilter;
  /** Adds what the message holds to `readings` and `rejected`. Throws {@link Reject} for the message as a whole. */
  apply(
    captures: ReadonlyMap<string, string>,
    payload: Uint8Array,
    arrival: number,
    readings: MappedReading[],
    rejected: Rejected[],
  ): void;
}

/** @throws CONFIG_INVALID, naming the rule by its topic filter. */
export function compileRule(config: RuleConfig, limits: MappingLimits): Rule {
  const filter = parseTopicFilter(config.topic);
  try {
    return compile(config, filter, limits);
  } catch (error) {
    if (!(error instanceof FleetcastError)) throw error;
    throw new FleetcastError(error.code, `mapping of ${config.topic}: ${error.message}`, {
      cause: error,
      details: { ...error.details, topic: config.topic },
    });
  }
}

function compile(config: RuleConfig, filter: TopicFilter, limits: MappingLimits): Rule {
  const decode = DECODERS[config.format ?? 'json'];
  if (decode === undefined) {
    throw new FleetcastError('CONFIG_INVALID', `format ${JSON.stringify(config.format)} is not known`);
  }
  const device = compileTemplate(config.device ?? '{device}', filter.names);
  const each = config.each === undefined ? undefined : compileEach(config.each);
  const timePath = config.time === undefined ? undefined : compilePath(config.time.path);
  const parseTime = compileTime(config.time?.format, config.time?.zone);
  const timeOptional = config.time?.optional ?? false;
  const wanted = Object.entries(config.values ?? {}).map(([quantity, value]) => compileValue(quantity, value));
  const restMode = config.rest ?? (wanted.length === 0 ? 'strict' : 'ignore');
  const named = [timePath, ...wanted.map((each) => each.path)].filter((path) => path !== undefined);
  const rest = restMode === 'ignore' ? undefined : compileRest(config, restMode, named, limits);

  const partToReading = (
    root: unknown,
    part: Part,
    captures: ReadonlyMap<string, string>,
    arrival: number,
    nameOf: (name: string) => void,
  ): MappedReading => {
    const name = device({ captures, root, part: part.value, key: part.key });
    nameOf(name);
    let time = arrival;
    if (timePath !== undefined) {
      const found = timePath.get(timePath.fromRoot ? root : part.value);
      if (found !== undefined && found !== null) time = parseTime(found);
      else if (!timeOptional) throw new Reject('missing-field', `no time at ${timePath.source}`);
    }
    const values: Record<string, number> = {};
    let count = 0;
    for (const each of wanted) {
      const value = each.read(root, part.value);
      if (value === undefined) continue;
      values[each.quantity] = value;
      count++;
    }
    if (rest !== undefined) count += rest(part.value, values);
    if (count === 0) throw new Reject('no-values', 'no field holds a number');
    if (count > limits.maxValues) throw new Reject('too-many-values', `${count} values; at most ${limits.maxValues}`);
    return { device: name, time, values };
  };

  return {
    config,
    filter,
    apply: (captures, payload, arrival, readings, rejected) => {
      if (config.ignore === true) throw new Reject('ignored', 'the mapping ignores this topic');
      const root = decode(payload);
      const parts = each === undefined ? [{ value: root, key: '' }] : each(root, limits.maxParts);
      if (parts === undefined) throw new Reject('too-many-parts', `more than ${limits.maxParts} parts in one message`);
      if (parts.length === 0) throw new Reject('no-values', `nothing at ${config.each}`);
      for (const part of parts) {
        let name = '';
        try {
          readings.push(
            partToReading(root, part, captures, arrival, (known) => {
              name = known;
            }),
          );
        } catch (error) {
          if (!(error instanceof Reject)) throw error;
          rejected.push({ reason: error.reason, message: error.message, device: name });
        }
      }
    },
  };
}
