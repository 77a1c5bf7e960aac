import protobuf from 'protobufjs/light.js';
import { Reject } from '../mapping/reject.ts';
import { parseJsonPayload } from './json-payload.ts';
import type { Metric, SparkplugPayload } from './metric.ts';

/**
 * The fields of Sparkplug B's payload (Eclipse Sparkplug 3.0, chapter 6) that hold values; readers pass over the others
 * (metadata, properties).
 */
const root = protobuf.Root.fromJSON({
  nested: {
    Payload: {
      edition: 'proto2',
      fields: {
        timestamp: { type: 'uint64', id: 1 },
        metrics: { rule: 'repeated', type: 'Metric', id: 2 },
        seq: { type: 'uint64', id: 3 },
      },
    },
    Metric: {
      edition: 'proto2',
      fields: {
        name: { type: 'string', id: 1 },
        alias: { type: 'uint64', id: 2 },
        timestamp: { type: 'uint64', id: 3 },
        datatype: { type: 'uint32', id: 4 },
        isHistorical: { type: 'bool', id: 5 },
        isNull: { type: 'bool', id: 7 },
        intValue: { type: 'uint32', id: 10 },
        longValue: { type: 'uint64', id: 11 },
        floatValue: { type: 'float', id: 12 },
        doubleValue: { type: 'double', id: 13 },
        booleanValue: { type: 'bool', id: 14 },
        stringValue: { type: 'string', id: 15 },
        bytesValue: { type: 'bytes', id: 16 },
        datasetValue: { type: 'DataSet', id: 17 },
        templateValue: { type: 'Template', id: 18 },
      },
    },
    DataSet: {
      edition: 'proto2',
      fields: {
        columns: { rule: 'repeated', type: 'string', id: 2 },
        types: { rule: 'repeated', type: 'uint32', id: 3 },
        rows: { rule: 'repeated', type: 'Row', id: 4 },
      },
    },
    Row: {
      edition: 'proto2',
      fields: { elements: { rule: 'repeated', type: 'Cell', id: 1 } },
    },
    Cell: {
      edition: 'proto2',
      fields: {
        intValue: { type: 'uint32', id: 1 },
        longValue: { type: 'uint64', id: 2 },
        floatValue: { type: 'float', id: 3 },
        doubleValue: { type: 'double', id: 4 },
        booleanValue: { type: 'bool', id: 5 },
        stringValue: { type: 'string', id: 6 },
      },
    },
    Template: {
      edition: 'proto2',
      fields: {
        metrics: { rule: 'repeated', type: 'Metric', id: 2 },
        isDefinition: { type: 'bool', id: 5 },
      },
    },
  },
});
const type = root.lookupType('Payload');

interface WireValue {
  intValue?: number;
  longValue?: Wire64;
  floatValue?: number;
  doubleValue?: number;
  booleanValue?: boolean;
  stringValue?: string;
}
interface WireMetric extends WireValue {
  name?: string;
  alias?: Wire64;
  timestamp?: Wire64;
  datatype?: number;
  isHistorical?: boolean;
  isNull?: boolean;
  bytesValue?: Uint8Array;
  datasetValue?: { columns?: string[]; types?: number[]; rows?: { elements?: WireValue[] }[] };
  templateValue?: { metrics?: WireMetric[]; isDefinition?: boolean };
}
type Wire64 = number | { readonly low: number; readonly high: number };

const MAX_TEMPLATE_DEPTH = 8;

/** Protobuf, or the JSON form that some gateways send. @throws Reject `malformed`, `not-json`, `too-many-values`. */
export function parsePayload(bytes: Uint8Array, maxMetrics: number): SparkplugPayload {
  if (bytes[0] === 0x7b) return parseJsonPayload(bytes, maxMetrics);
  let message: { timestamp?: Wire64; seq?: Wire64; metrics?: WireMetric[] };
  try {
    message = type.decode(bytes) as typeof message;
  } catch (error) {
    // A payload nested without end overflows the stack, which is a RangeError.
    throw new Reject('malformed', `not a Sparkplug payload: ${String((error as Error).message).slice(0, 100)}`);
  }
  let left = maxMetrics;
  const convert = (metric: WireMetric, depth: number): Metric => {
    if (--left < 0) throw new Reject('too-many-values', `more than ${maxMetrics} metrics in one payload`);
    if (depth > MAX_TEMPLATE_DEPTH)
      throw new Reject('too-deep', `templates nested more than ${MAX_TEMPLATE_DEPTH} levels`);
    const template = own(metric, 'templateValue');
    const members = template?.isDefinition === true ? [] : (template?.metrics ?? []);
    const cells = cellsOf(metric);
    left -= cells.length;
    if (left < 0) throw new Reject('too-many-values', `more than ${maxMetrics} metrics in one payload`);
    const alias = own(metric, 'alias');
    const timestamp = own(metric, 'timestamp');
    return {
      name: own(metric, 'name'),
      alias: alias === undefined ? undefined : String(unsigned(alias)),
      timestamp: timestamp === undefined ? undefined : Number(unsigned(timestamp)),
      datatype: own(metric, 'datatype'),
      historical: own(metric, 'isHistorical') ?? false,
      isNull: own(metric, 'isNull') ?? false,
      value: wireValue(metric),
      bytes: own(metric, 'bytesValue'),
      members: [...cells, ...members.map((member) => convert(member, depth + 1))],
    };
  };
  const timestamp = own(message, 'timestamp');
  const seq = own(message, 'seq');
  return {
    timestamp: timestamp === undefined ? undefined : Number(unsigned(timestamp)),
    seq: seq === undefined ? undefined : Number(unsigned(seq)),
    metrics: (message.metrics ?? []).map((metric) => convert(metric, 0)),
  };
}

/** A command to an edge node: publish its birth certificates again. */
export function rebirthCommand(now: number): Uint8Array {
  const metric = { name: 'Node Control/Rebirth', timestamp: now, datatype: 11, booleanValue: true };
  return type.encode(type.create({ timestamp: now, metrics: [metric] })).finish();
}

/** For tests and tools: a payload of these metrics, with the field names of the wire. */
export function encodePayload(message: { timestamp?: number; seq?: number; metrics: readonly object[] }): Uint8Array {
  return type.encode(type.fromObject(message)).finish();
}

/** Cells of a data set as metrics: named by column, and by row before it where there are several. */
function cellsOf(metric: WireMetric): readonly Metric[] {
  const set = own(metric, 'datasetValue');
  if (set === undefined || own(metric, 'isNull') === true) return [];
  const { columns = [], types = [], rows = [] } = set;
  return rows.flatMap(({ elements = [] }, row) =>
    elements.map((cell, i) => ({
      name: `${rows.length > 1 ? `${row}/` : ''}${columns[i] ?? i}`,
      alias: undefined,
      timestamp: undefined,
      datatype: types[i],
      historical: false,
      isNull: false,
      value: wireValue(cell),
      members: [],
    })),
  );
}

function wireValue(metric: WireValue): Metric['value'] {
  const int = own(metric, 'intValue');
  if (int !== undefined) return BigInt(int);
  const long = own(metric, 'longValue');
  if (long !== undefined) return unsigned(long);
  return (
    own(metric, 'floatValue') ?? own(metric, 'doubleValue') ?? own(metric, 'booleanValue') ?? own(metric, 'stringValue')
  );
}

/** Defaults stand on the prototype: only what was sent is an own property. */
function own<T extends object, K extends keyof T>(message: T, key: K): T[K] | undefined {
  return Object.hasOwn(message, key) ? message[key] : undefined;
}

function unsigned(value: Wire64): bigint {
  if (typeof value === 'number') return BigInt(value);
  return (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
}
