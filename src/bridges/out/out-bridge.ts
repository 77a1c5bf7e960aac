import { messageOf } from '../../errors.ts';
import { decodeRecord } from '../../events/codec.ts';
import type { Alert, Forecast } from '../../events/records.ts';
import type { EventLog, GroupMember, TaskWriter } from '../../log/event-log.ts';
import type { Publisher } from '../mqtt/publisher.ts';
import { compileOutTopic, type OutConfig, type OutTopic, type TopicOf } from './out-config.ts';
import { alertPayload, discoveryMessage, forecastPayload } from './out-messages.ts';

export interface OutBridgeOptions {
  readonly log: EventLog;
  readonly publisher: Publisher;
  readonly config: OutConfig;
  /** Log topics; both must exist and have the same number of partitions. */
  readonly topics: { readonly forecasts: string; readonly alerts: string };
  /** Who remembers how far it has come. Default `fleetcast-mqtt-out`. */
  readonly group?: string;
  readonly memberId?: string;
  readonly onEvent?: (event: OutEvent) => void;
}

export type OutEvent = { readonly type: 'error'; readonly message: string };

export interface OutStatus {
  readonly forecasts: number;
  readonly alerts: number;
  /** Forecasts left out because a newer one of the series was at hand. */
  readonly superseded: number;
  /** Sensors that Home Assistant was told of. */
  readonly discovered: number;
  readonly partitions: readonly number[];
}

/** Most series that discovery messages are remembered for; further ones are announced again now and then. */
const MAX_ANNOUNCED = 100_000;

/**
 * From the log back to MQTT. What was published is committed after the broker has acknowledged it: after a crash some
 * messages come twice, none is left out. It begins with what is appended after its first start.
 */
export class OutBridge {
  readonly #options: OutBridgeOptions;
  readonly #forecastTopic: TopicOf | undefined;
  readonly #alertTopic: TopicOf | undefined;
  readonly #announced = new Set<string>();
  readonly #loops = new Map<number, { readonly stop: AbortController; readonly ended: Promise<void> }>();
  #member: GroupMember | undefined;
  #forecasts = 0;
  #alerts = 0;
  #superseded = 0;
  #discovered = 0;

  /** @throws CONFIG_INVALID for a topic template that cannot work. */
  constructor(options: OutBridgeOptions) {
    this.#options = options;
    const { forecasts, alerts } = options.config;
    this.#forecastTopic = forecasts === undefined ? undefined : compileOutTopic(forecasts.topic);
    this.#alertTopic = alerts === undefined ? undefined : compileOutTopic(alerts.topic);
  }

  async start(): Promise<void> {
    const { log, topics } = this.#options;
    let joined: (member: GroupMember) => void = () => {};
    const member = new Promise<GroupMember>((resolve) => {
      joined = resolve;
    });
    this.#member = await log.join({
      group: this.#options.group ?? 'fleetcast-mqtt-out',
      topics: [topics.forecasts, topics.alerts],
      memberId: this.#options.memberId ?? `mqtt-out-${process.pid}`,
      onAssigned: (partitions) => {
        for (const partition of partitions) {
          const stop = new AbortController();
          const ended = member.then((each) => this.#loop(each, partition, stop.signal));
          this.#loops.set(partition, { stop, ended });
        }
      },
      onRevoked: (partitions) => this.#end(partitions),
      onLost: (partitions) => this.#end(partitions),
    });
    joined(this.#member);
  }

  async stop(): Promise<void> {
    await this.#end([...this.#loops.keys()]);
    await this.#member?.leave();
  }

  status(): OutStatus {
    return {
      forecasts: this.#forecasts,
      alerts: this.#alerts,
      superseded: this.#superseded,
      discovered: this.#discovered,
      partitions: [...this.#loops.keys()],
    };
  }

  async #end(partitions: readonly number[]): Promise<void> {
    const loops = partitions.map((partition) => this.#loops.get(partition)).filter((loop) => loop !== undefined);
    for (const loop of loops) loop.stop.abort();
    for (const partition of partitions) this.#loops.delete(partition);
    await Promise.all(loops.map((loop) => loop.ended));
  }

  async #loop(member: GroupMember, partition: number, signal: AbortSignal): Promise<void> {
    for (let wait = 50; !signal.aborted; wait = Math.min(wait * 2, 5_000)) {
      try {
        const writer = await member.openWriter(partition);
        try {
          await this.#publishFrom(writer, partition, signal);
        } finally {
          await writer.close();
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onEvent?.({ type: 'error', message: messageOf(error) });
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  async #publishFrom(writer: TaskWriter, partition: number, signal: AbortSignal): Promise<void> {
    const { log, topics, publisher } = this.#options;
    const committed = await writer.committed();
    const next = new Map<string, number>();
    for (const topic of [topics.forecasts, topics.alerts]) {
      const { earliest, end } = await log.offsets(topic, partition);
      next.set(topic, Math.max(committed.get(topic) ?? end, earliest));
    }
    // The beginning is remembered too: what comes while the bridge is away is published later.
    await writer.commit([], next);
    // Once for the loop: a listener for each batch would stay on the signal as long as the loop runs.
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    while (!signal.aborted) {
      let moved = false;
      for (const [topic, offset] of next) {
        const waitMs = topic === topics.forecasts ? 100 : 0;
        const batch = await log.read(topic, partition, offset, { maxRecords: 1_000, waitMs, signal });
        if (batch.nextOffset === offset) continue;
        moved = true;
        next.set(topic, batch.nextOffset);
        const records = batch.records.flatMap(({ value }) => (value === null ? [] : [decodeRecord(value)]));
        await this.#publishForecasts(records.filter((record) => record.type === 'Forecast'));
        await this.#publishAlerts(records.filter((record) => record.type === 'Alert'));
      }
      if (!moved) continue;
      await Promise.race([publisher.flush(), aborted]);
      if (!signal.aborted) await writer.commit([], next);
    }
  }

  /** Of several forecasts of one series the last one counts. */
  async #publishForecasts(forecasts: readonly Forecast[]): Promise<void> {
    const out = this.#options.config.forecasts;
    if (out === undefined || this.#forecastTopic === undefined) return;
    const last = new Map<string, Forecast>();
    for (const forecast of forecasts) last.set(this.#forecastTopic(forecast.device, forecast.quantity), forecast);
    this.#superseded += forecasts.length - last.size;
    for (const [topic, forecast] of last) {
      await this.#announce(topic, forecast, out);
      await this.#options.publisher.publish(topic, forecastPayload(forecast, out), {
        qos: out.qos ?? 1,
        retain: out.retain ?? true,
      });
      this.#forecasts++;
    }
  }

  async #publishAlerts(alerts: readonly Alert[]): Promise<void> {
    const out = this.#options.config.alerts;
    if (out === undefined || this.#alertTopic === undefined) return;
    for (const alert of alerts) {
      await this.#options.publisher.publish(this.#alertTopic(alert.device, alert.quantity), alertPayload(alert, out), {
        qos: out.qos ?? 1,
        retain: out.retain ?? false,
      });
      this.#alerts++;
    }
  }

  async #announce(topic: string, forecast: Forecast, out: OutTopic): Promise<void> {
    const { homeAssistant } = this.#options.config;
    if (homeAssistant === undefined || this.#announced.has(topic)) return;
    if (this.#announced.size >= MAX_ANNOUNCED) this.#announced.clear();
    this.#announced.add(topic);
    const message = discoveryMessage(forecast, topic, out, homeAssistant);
    await this.#options.publisher.publish(message.topic, message.payload, { qos: message.qos, retain: message.retain });
    this.#discovered++;
  }
}
