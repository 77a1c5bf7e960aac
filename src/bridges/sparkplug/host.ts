import { globs } from '../mapping/globs.ts';
import type { MappedReading, Rejected } from '../mapping/part.ts';
import { excerpt, Reject } from '../mapping/reject.ts';
import type { Metric, SparkplugPayload } from './metric.ts';
import type { Certificate } from './node-state.ts';
import { NodeState } from './node-state.ts';
import type { SparkplugOptions } from './options.ts';
import { parsePayload, rebirthCommand } from './payload.ts';
import { parseSparkplugTopic, type SparkplugTopic } from './topic.ts';
import { numberOfMetric, numbersOfArray } from './value.ts';

/** Something to keep on a compacted topic: what the host needs after a restart. */
export interface MemoryRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface Command {
  readonly topic: string;
  readonly payload: Uint8Array;
}

export interface SparkplugResult {
  readonly readings: readonly MappedReading[];
  readonly rejected: Rejected[];
  readonly memory: readonly MemoryRecord[];
  readonly commands: readonly Command[];
}

export interface SparkplugDevice {
  readonly device: string;
  /** False after a death, or a birth of its node that it was not born again after: its last values are stale. */
  readonly online: boolean;
  readonly since: number;
}

const CONTROL = ['bdSeq', 'Node Control/*', 'Device Control/*'];
const MAX_METRICS = 50_000;
const MAX_ARRAY = 256;

/**
 * The receiving half of a Sparkplug B host: births teach aliases and data types, data are read with them, deaths mark
 * devices stale, and a node is asked for its births where something is missing. It knows no clock but the arrivals.
 */
export class SparkplugHost {
  readonly #options: SparkplugOptions;
  readonly #nodes = new Map<string, NodeState>();
  readonly #excluded: (name: string) => boolean;
  #metrics = 0;

  constructor(options: SparkplugOptions = {}) {
    this.#options = options;
    this.#excluded = globs([...CONTROL, ...(options.exclude ?? [])])!;
  }

  /** Devices (and edge nodes) that have been born, and whether what they last said still holds. */
  devices(): readonly SparkplugDevice[] {
    return [...this.#nodes.values()].flatMap((node) =>
      [...node.certificates.values()].map((each) => ({
        device: deviceName(each),
        online: each.online && node.certificates.get('')?.online === true,
        since: each.since,
      })),
    );
  }

  /** Takes back a record of {@link SparkplugResult.memory}; what is damaged or beyond the limits is passed over. */
  restore(value: Uint8Array): void {
    const certificate = certificateOf(value);
    if (certificate === undefined) return;
    try {
      this.#restore(certificate);
    } catch (error) {
      if (!(error instanceof Reject)) throw error;
    }
  }

  /** Records of one compacted topic may come in any order: a device's certificate waits for its node's. */
  #restore(certificate: Certificate): void {
    const node = this.#node(certificate.group, certificate.node);
    if (certificate.device === '') {
      const devices = [...node.certificates.values()].filter((each) => each.device !== '');
      this.#use(node, certificate);
      for (const each of devices) if (each.birth === certificate.birth) this.#use(node, each);
      return;
    }
    const valid = node.birth === '' || node.birth === certificate.birth;
    node.certificates.set(certificate.device, valid ? certificate : { ...certificate, online: false });
    if (certificate.birth === node.birth) this.#use(node, certificate);
  }

  /** @throws Reject for a message that says nothing or cannot be read. */
  receive(topic: string, bytes: Uint8Array, arrival: number): SparkplugResult {
    const at = parseSparkplugTopic(topic);
    if (at === undefined) throw new Reject('malformed', `${excerpt(topic)} is no topic of Sparkplug`);
    if (at.type === 'STATE' || at.type === 'NCMD' || at.type === 'DCMD')
      throw new Reject('no-values', `a message ${at.type}`);
    const payload = parsePayload(bytes, MAX_METRICS);
    if (at.type.endsWith('BIRTH')) return this.#birth(at, payload, arrival);
    if (at.type.endsWith('DEATH')) return this.#death(at, payload, arrival);
    return this.#data(at, payload, arrival);
  }

  #birth(at: SparkplugTopic, payload: SparkplugPayload, arrival: number): SparkplugResult {
    const node = this.#node(at.group, at.node);
    const since = payload.timestamp ?? arrival;
    const bdSeq = bdSeqOf(payload);
    const ofNode = at.device === '';
    if (!ofNode && node.birth === '') {
      return { ...this.#read(at, node, payload, arrival), memory: [], commands: this.#ask(node, at, arrival) };
    }
    const follows = ofNode || this.#follows(node, payload.seq, arrival);
    if (ofNode) node.lastSeq = payload.seq ?? 0;
    const certificate: Certificate = {
      group: at.group,
      node: at.node,
      device: at.device,
      online: true,
      since,
      birth: ofNode ? `${bdSeq ?? ''}@${since}` : node.birth,
      bdSeq,
      metrics: payload.metrics.flatMap((metric) =>
        metric.name === undefined ? [] : [[metric.name, metric.alias ?? null, metric.datatype ?? null] as const],
      ),
    };
    this.#use(node, certificate);
    return {
      ...this.#read(at, node, payload, arrival),
      memory: [record(certificate)],
      commands: follows ? [] : this.#ask(node, at, arrival),
    };
  }

  #death(at: SparkplugTopic, payload: SparkplugPayload, arrival: number): SparkplugResult {
    const node = this.#nodes.get(`${at.group}/${at.node}`);
    const certificate = node?.certificates.get(at.device);
    const nothing = (message: string): Rejected[] => [{ reason: 'no-values', message, device: deviceName(at) }];
    if (node === undefined || certificate === undefined) {
      return { readings: [], rejected: nothing('the death of somebody who was not known'), memory: [], commands: [] };
    }
    // A will of an earlier session that arrives after the birth of the next one.
    const bdSeq = bdSeqOf(payload);
    if (at.device === '' && bdSeq !== undefined && certificate.bdSeq !== undefined && bdSeq !== certificate.bdSeq) {
      return { readings: [], rejected: nothing('the death of an earlier session'), memory: [], commands: [] };
    }
    const follows = at.device === '' || this.#follows(node, payload.seq, arrival);
    const dead: Certificate = { ...certificate, online: false, since: payload.timestamp ?? arrival };
    node.certificates.set(at.device, dead);
    return {
      readings: [],
      rejected: nothing(`${deviceName(at)} is offline: its values are stale`),
      memory: [record(dead)],
      commands: follows ? [] : this.#ask(node, at, arrival),
    };
  }

  #data(at: SparkplugTopic, payload: SparkplugPayload, arrival: number): SparkplugResult {
    const node = this.#node(at.group, at.node);
    const follows = this.#follows(node, payload.seq, arrival);
    const alive = node.certificates.get('')?.online === true && node.certificates.get(at.device)?.online === true;
    const result = this.#read(at, node, payload, arrival);
    const unknown = result.rejected.some((each) => each.reason === 'unknown-alias');
    const commands = follows && alive && !unknown ? [] : this.#ask(node, at, arrival);
    return { ...result, memory: [], commands };
  }

  #read(
    at: SparkplugTopic,
    node: NodeState,
    payload: SparkplugPayload,
    arrival: number,
  ): Pick<SparkplugResult, 'readings' | 'rejected'> {
    const device = deviceName(at);
    const readings = new Map<number, MappedReading>();
    const unknown: string[] = [];
    const rejected: Rejected[] = [];
    const put = (name: string, time: number, value: number): void => {
      if (name === '' || name === '__proto__') return;
      const reading = readings.get(time) ?? { device, time, values: {} };
      readings.set(time, reading);
      reading.values[name] = value;
    };
    const take = (metric: Metric, name: string, time: number, datatype: number | undefined): void => {
      if (this.#excluded(name)) return;
      for (const member of metric.members) {
        if (member.name !== undefined)
          take(member, `${name}/${member.name}`, member.timestamp ?? time, member.datatype);
      }
      const value = numberOfMetric(metric, datatype);
      if (value !== undefined) put(name, time, value);
      if (metric.bytes === undefined || metric.isNull) return;
      try {
        const numbers = numbersOfArray(metric.bytes, datatype, MAX_ARRAY) ?? [];
        for (const [i, number] of numbers.entries()) if (Number.isFinite(number)) put(`${name}/${i}`, time, number);
      } catch (error) {
        if (!(error instanceof Reject)) throw error;
        rejected.push({ reason: error.reason, message: `${excerpt(name)}: ${error.message}`, device });
      }
    };
    for (const metric of payload.metrics) {
      const target = metric.name === undefined ? node.alias(metric.alias ?? '') : undefined;
      const name = metric.name ?? target?.name;
      if (name === undefined) {
        unknown.push(metric.alias ?? '?');
        continue;
      }
      const datatype = metric.datatype ?? target?.datatype ?? node.datatype(at.device, name);
      take(metric, name, metric.timestamp ?? payload.timestamp ?? arrival, datatype);
    }
    if (unknown.length > 0) {
      const list = unknown.slice(0, 5).join(', ');
      rejected.push({
        reason: 'unknown-alias',
        message: `${unknown.length} metrics of unknown alias (${list})`,
        device,
      });
    }
    if (readings.size === 0 && rejected.length === 0) {
      rejected.push({ reason: 'no-values', message: 'no metric that is a number', device });
    }
    return { readings: [...readings.values()].sort((a, b) => a.time - b.time), rejected };
  }

  #follows(node: NodeState, seq: number | undefined, arrival: number): boolean {
    return node.follows(seq, arrival, this.#options.reorderMs ?? 0);
  }

  #ask(node: NodeState, at: SparkplugTopic, arrival: number): readonly Command[] {
    const { rebirth = true, rebirthEveryMs = 10_000 } = this.#options;
    if (!rebirth || arrival < node.askedAt + rebirthEveryMs) return [];
    node.askedAt = arrival;
    return [{ topic: `${at.namespace}/${at.group}/NCMD/${at.node}`, payload: rebirthCommand(arrival) }];
  }

  #use(node: NodeState, certificate: Certificate): void {
    const { maxMetrics = 500_000 } = this.#options;
    const before = node.size;
    // A node's own birth takes the place of all that it had.
    const kept = certificate.device === '' ? this.#metrics - before : this.#metrics;
    if (kept + certificate.metrics.length + 1 > maxMetrics) {
      throw new Reject(
        'too-many-quantities',
        `${excerpt(deviceName(certificate))} would make more than ${maxMetrics} metrics`,
      );
    }
    node.accept(certificate);
    this.#metrics += node.size - before;
  }

  #node(group: string, name: string): NodeState {
    const key = `${group}/${name}`;
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const { maxNodes = 10_000 } = this.#options;
    if (this.#nodes.size >= maxNodes) {
      throw new Reject('too-many-devices', `${excerpt(key)} would be more than ${maxNodes} edge nodes`);
    }
    const made = new NodeState(group, name);
    this.#nodes.set(key, made);
    return made;
  }
}

/** The device that a message under this topic is about; empty where it is about none. */
export function deviceOfTopic(topic: string): string {
  const at = parseSparkplugTopic(topic);
  return at === undefined || at.type === 'STATE' ? '' : deviceName(at);
}

function deviceName({ group, node, device }: Pick<SparkplugTopic, 'group' | 'node' | 'device'>): string {
  return device === '' ? `${group}/${node}` : `${group}/${node}/${device}`;
}

function bdSeqOf({ metrics }: SparkplugPayload): string | undefined {
  const found = metrics.find((metric) => metric.name === 'bdSeq')?.value;
  return found === undefined ? undefined : String(found);
}

function record(certificate: Certificate): MemoryRecord {
  return { key: `sparkplug/${deviceName(certificate)}`, value: Buffer.from(JSON.stringify(certificate)) };
}

function certificateOf(value: Uint8Array): Certificate | undefined {
  let parsed: Partial<Certificate> | null;
  try {
    parsed = JSON.parse(Buffer.from(value).toString('utf8')) as Partial<Certificate> | null;
  } catch {
    return undefined;
  }
  if (parsed === null || typeof parsed !== 'object' || !Array.isArray(parsed.metrics)) return undefined;
  const texts = [parsed.group, parsed.node, parsed.device, parsed.birth];
  const right =
    texts.every((text) => typeof text === 'string') &&
    parsed.metrics.every((metric) => Array.isArray(metric) && typeof metric[0] === 'string');
  return right ? (parsed as Certificate) : undefined;
}
