import type { Publisher } from '../../bridges/mqtt/publisher.ts';
import { type Fleet, HOUR } from './fleet.ts';

export interface FleetPlayerOptions {
  readonly fleet: Fleet;
  readonly publisher: Publisher;
  /** Hours that are played as fast as they are taken. */
  readonly backlogHours: number;
  /** Event time against real time, after the backlog. */
  readonly speed: number;
  /** Messages whose readings are durable on the log since this process began. */
  readonly durable: () => number;
  /** Called when all messages of so many hours are durable. */
  readonly onDurable: (hours: number) => void;
  readonly signal: AbortSignal;
}

/** Messages that may be on their way before the backlog waits: bounds the memory of the broker. */
const AHEAD = 5_000;
const POLL_MS = 20;

/**
 * Plays the fleet over MQTT, QoS 1, until the signal. What it reports as done is durable on the log, not merely taken by
 * the broker: a demo that is killed goes on without a gap.
 */
export async function playFleet(options: FleetPlayerOptions): Promise<void> {
  const { fleet, publisher, backlogHours, speed, durable, onDurable, signal } = options;
  const under: { hours: number; messages: number }[] = [];
  let sent = 0;
  const report = () => {
    let done: number | undefined;
    while (under.length > 0 && under[0]!.messages <= durable()) done = under.shift()!.hours;
    if (done !== undefined) onDurable(done);
  };
  let next = performance.now();
  while (!signal.aborted) {
    for (const { topic, payload } of fleet.next()) {
      await publisher.publish(topic, payload, { qos: 1 });
      sent += 1;
    }
    under.push({ hours: fleet.hour, messages: sent });
    report();
    if (fleet.hour < backlogHours) {
      while (sent - durable() > AHEAD && !signal.aborted) await pause(POLL_MS, signal);
      next = performance.now();
      continue;
    }
    next += HOUR / speed;
    // A machine that was away (asleep, for example) does not hurry after.
    next = Math.max(next, performance.now() - 1_000);
    while (performance.now() < next && !signal.aborted) {
      report();
      await pause(Math.min(next - performance.now(), 100), signal);
    }
  }
  await publisher.flush();
  for (let tries = 0; under.length > 0 && tries < 100; tries++) {
    report();
    if (under.length > 0) await pause(POLL_MS);
  }
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal?.addEventListener('abort', done, { once: true });
  });
}
