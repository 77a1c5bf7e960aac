import { Random } from '../../models/random.ts';
import { SimulatedDevice } from './device.ts';
import { SEATTLE_START, seattleWeather } from './seattle.ts';

export const HOUR = 3_600_000;
export const STATION = 'seattle';

/** One PUBLISH of the demo fleet. */
export interface FleetMessage {
  readonly topic: string;
  readonly payload: string;
}

/** What the fleet did wrong on purpose, by kind. */
export interface FleetFaults {
  gaps: number;
  duplicates: number;
  outOfOrder: number;
  malformed: number;
}

/** The device whose sensor is stuck for days at a time, and the one whose clock runs an hour ahead. */
export const STUCK = 'pump-07';
export const FAST_CLOCK = 'room-11';

/** How a message can be broken. Each is refused by the bridge or by the quality check with its own reason. */
const BROKEN: readonly ((device: string, time: number) => FleetMessage)[] = [
  (device, time) => message(device, `{"time":${time},"temperature":21.`),
  (device) => message(device, '{"temperature":21.5}'),
  (device, time) => message(device, `{"time":${time},"temperature":"warm"}`),
  (device, time) => message(device, `{"time":${time},"temperature":NaN}`),
  (device) => message(device, '{"time":0,"temperature":21.5}'),
  (device) => message(device, `{"time":${Date.UTC(2090, 0, 1)},"temperature":21.5}`),
  (_device, time) => ({ topic: 'workshop/press/1/state', payload: `{"time":${time},"state":"on"}` }),
];

/**
 * The demo fleet: one real weather station and fifty simulated devices with the faults that real fleets have. Seeded:
 * hour `n` is the same in every run. Hours are event time and begin where the station's record begins.
 */
export class Fleet {
  readonly faults: FleetFaults = { gaps: 0, duplicates: 0, outOfOrder: 0, malformed: 0 };
  readonly #weather = seattleWeather();
  readonly #devices: SimulatedDevice[] = [];
  readonly #random: Random;
  readonly #silentUntil = new Map<string, number>();
  #held: FleetMessage[] = [];
  #stuck: string | undefined;
  #hour = 0;

  constructor(seed = 1) {
    this.#random = new Random(seed, 0);
    for (let i = 0; i < 50; i++) {
      const kind = i < 20 ? 'room' : i < 35 ? 'pump' : 'meter';
      const number = i < 20 ? i : i < 35 ? i - 20 : i - 35;
      this.#devices.push(new SimulatedDevice(`${kind}-${String(number + 1).padStart(2, '0')}`, kind, seed, i));
    }
  }

  /** Hours that have been made. */
  get hour(): number {
    return this.#hour;
  }

  /** Event time of the next hour, milliseconds. */
  get time(): number {
    return SEATTLE_START + this.#hour * HOUR;
  }

  get deviceCount(): number {
    return this.#devices.length + 1;
  }

  /** Goes on at this hour, as if all hours before had been made here. */
  skipTo(hour: number): void {
    while (this.#hour < hour) this.next();
  }

  /** Everything that is published in the next hour, in the order of publishing. */
  next(): FleetMessage[] {
    const time = this.time;
    const messages: FleetMessage[] = [];
    const held = this.#held;
    this.#held = [];
    messages.push(message(STATION, JSON.stringify({ time, ...this.#weather[this.#hour % this.#weather.length]! })));
    for (const device of this.#devices) this.#publish(device, time, messages);
    // What was held back comes after the readings of the next hour: out of order.
    messages.push(...held);
    if (this.#random.uniform() < 0.25) {
      const device = this.#devices[this.#random.below(this.#devices.length)]!.name;
      messages.push(BROKEN[this.#random.below(BROKEN.length)]!(device, time + 1));
      this.faults.malformed += 1;
    }
    this.#hour += 1;
    return messages;
  }

  #publish(device: SimulatedDevice, time: number, messages: FleetMessage[]): void {
    const { name } = device;
    const made = JSON.stringify({ time: name === FAST_CLOCK ? time + HOUR : time, ...device.next(time / HOUR) });
    const chance = this.#random.uniform();
    if (this.#hour < (this.#silentUntil.get(name) ?? 0)) {
      this.faults.gaps += 1;
      return;
    }
    if (chance < 0.0008) {
      this.#silentUntil.set(name, this.#hour + 3 + this.#random.below(10));
      return;
    }
    const sent = message(name, name === STUCK ? this.#stick(made) : made);
    if (chance < 0.006) {
      this.#held.push(sent);
      this.faults.outOfOrder += 1;
      return;
    }
    messages.push(sent);
    if (chance < 0.011) {
      messages.push(sent);
      this.faults.duplicates += 1;
    }
  }

  /** Two days in five the stuck sensor repeats the value that it had, with the right time. */
  #stick(payload: string): string {
    const values = JSON.parse(payload) as Record<string, number>;
    if (this.#hour % 120 < 72) {
      this.#stuck = undefined;
      return payload;
    }
    this.#stuck ??= payload;
    return JSON.stringify({ ...(JSON.parse(this.#stuck) as Record<string, number>), time: values['time'] });
  }
}

function message(device: string, payload: string): FleetMessage {
  return { topic: `fleet/${device}`, payload };
}
