import { Random } from '../../models/random.ts';

const HOURS_A_DAY = 24;

/** How one quantity of a simulated device behaves. */
interface Profile {
  readonly quantity: string;
  readonly base: number;
  /** Size of the daily cycle, and of its second harmonic. */
  readonly day: number;
  readonly half: number;
  /** Hour of the day's peak. */
  readonly peak: number;
  /** What is left of the cycle at the weekend, 0 to 1. */
  readonly weekend: number;
  /** Deviation of the noise, and how much of it lasts to the next hour, 0 to 1. */
  readonly noise: number;
  readonly memory: number;
  /** Slow swing over some days. */
  readonly drift: number;
  readonly lowest: number;
  readonly decimals: number;
}

const KINDS: Readonly<Record<string, readonly Profile[]>> = {
  room: [
    profile('temperature', { base: 20.5, day: 2.2, half: 0.5, peak: 15, weekend: 0.4, noise: 0.35, drift: 0.8 }),
    profile('co2', { base: 620, day: 260, half: 80, peak: 13, weekend: 0.1, noise: 38, lowest: 400, decimals: 0 }),
  ],
  pump: [
    profile('flow', { base: 42, day: 14, half: 6, peak: 9, weekend: 0.7, noise: 2.2, drift: 2, lowest: 0 }),
    profile('pressure', { base: 4.2, day: -0.6, half: -0.2, peak: 9, weekend: 0.7, noise: 0.09, drift: 0.1 }),
  ],
  meter: [profile('power', { base: 31, day: 17, half: 7, peak: 14, weekend: 0.35, noise: 2.8, drift: 2, lowest: 0 })],
};

function profile(quantity: string, given: Partial<Profile> & Pick<Profile, 'base' | 'day'>): Profile {
  const rest = { half: 0, peak: 14, weekend: 1, noise: 1, memory: 0.8, drift: 0, lowest: -1e9, decimals: 2 };
  return { ...rest, ...given, quantity };
}

/** Random phases of one quantity of one device. */
interface Voice {
  readonly profile: Profile;
  readonly scale: number;
  readonly shift: number;
  readonly slow: number;
  noise: number;
}

/** A simulated device: cycles by day and week, and noise that lasts from one hour to the next. */
export class SimulatedDevice {
  readonly name: string;
  readonly #random: Random;
  readonly #voices: Voice[];

  constructor(name: string, kind: keyof typeof KINDS, seed: number, index: number) {
    this.name = name;
    this.#random = new Random(seed, 1, index);
    this.#voices = KINDS[kind]!.map((each) => ({
      profile: each,
      scale: 0.7 + 0.6 * this.#random.uniform(),
      shift: (this.#random.uniform() - 0.5) * 3,
      slow: 90 + this.#random.uniform() * 120,
      noise: 0,
    }));
  }

  /** Values of the next hour; call once for each hour. @param hour hours since the epoch. */
  next(hour: number): Record<string, number> {
    const values: Record<string, number> = {};
    for (const voice of this.#voices) {
      const { profile: p, scale } = voice;
      voice.noise = p.memory * voice.noise + Math.sqrt(1 - p.memory ** 2) * p.noise * this.#random.normal();
      const phase = (2 * Math.PI * ((hour % HOURS_A_DAY) - p.peak - voice.shift)) / HOURS_A_DAY;
      const cycle = p.day * Math.cos(phase) + p.half * Math.cos(2 * phase);
      // The epoch began on a Thursday.
      const weekday = (Math.floor(hour / HOURS_A_DAY) + 4) % 7;
      const share = weekday === 0 || weekday === 6 ? p.weekend : 1;
      const slow = p.drift * Math.sin((2 * Math.PI * hour) / voice.slow);
      const value = Math.max(p.lowest, p.base * (0.5 + scale / 2) + scale * share * cycle + slow + voice.noise);
      values[p.quantity] = Number(value.toFixed(p.decimals));
    }
    return values;
  }
}
