import { jsonDecoder } from '../formats/json.ts';
import { Reject } from '../mapping/reject.ts';
import type { Metric, SparkplugPayload } from './metric.ts';
import { datatypeNumber } from './value.ts';

/** The JSON form of a payload; names of fields in either case, data types by name or number. */
export function parseJsonPayload(bytes: Uint8Array, maxMetrics: number): SparkplugPayload {
  const message = jsonDecoder({ maxDepth: 16, maxNodes: maxMetrics * 16 })(bytes) as Record<string, unknown>;
  const metrics = message['metrics'] ?? [];
  if (!Array.isArray(metrics)) throw new Reject('malformed', 'metrics is no list');
  if (metrics.length > maxMetrics)
    throw new Reject('too-many-values', `more than ${maxMetrics} metrics in one payload`);
  return {
    timestamp: numberOf(message['timestamp']),
    seq: numberOf(message['seq']),
    metrics: metrics.map(metricOf),
  };
}

function metricOf(entry: unknown): Metric {
  if (entry === null || typeof entry !== 'object') throw new Reject('malformed', 'a metric that is no object');
  const metric = entry as Record<string, unknown>;
  const { name, alias, value } = metric;
  const type = metric['dataType'] ?? metric['datatype'] ?? metric['type'];
  return {
    name: typeof name === 'string' ? name : undefined,
    alias: typeof alias === 'number' || typeof alias === 'string' ? String(alias) : undefined,
    timestamp: numberOf(metric['timestamp']),
    datatype: typeof type === 'number' ? type : typeof type === 'string' ? datatypeNumber(type) : undefined,
    historical: (metric['isHistorical'] ?? metric['is_historical']) === true,
    isNull: value === null || (metric['isNull'] ?? metric['is_null']) === true,
    value: typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string' ? value : undefined,
    members: Array.isArray(value) ? value.map((each: unknown, i) => metricOf({ name: String(i), value: each })) : [],
  };
}

function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,20}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}
