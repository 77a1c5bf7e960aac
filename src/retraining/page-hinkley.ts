export interface DriftSettings {
  /** Rise that is put up with, in deviations of the error so far. */
  readonly tolerance: number;
  /** Alarm when the rises beyond it have added up to so many deviations. */
  readonly threshold: number;
  /** Values before the first alarm is possible. */
  readonly warmUp: number;
}

export const DRIFT_DEFAULTS: DriftSettings = { tolerance: 0.5, threshold: 30, warmUp: 48 };

/**
 * Page–Hinkley test for a lasting rise of an error: adds up how far each value is above the mean so far (standardised,
 * less a tolerance) and alarms when the sum has risen far above its lowest point, which is where the change began.
 */
export class PageHinkley {
  readonly #settings: DriftSettings;
  #count = 0;
  #mean = 0;
  #squares = 0;
  #sum = 0;
  #lowest = 0;
  #since = Number.NaN;
  #alarm = false;

  constructor(settings: DriftSettings) {
    this.#settings = settings;
  }

  /** Where the rise began, once there is an alarm (for good); undefined until then. */
  get change(): number | undefined {
    return this.#alarm ? this.#since : undefined;
  }

  /** @param time of the value, ascending. */
  add(time: number, value: number): void {
    if (this.#alarm || !Number.isFinite(value)) return;
    const { tolerance, threshold, warmUp } = this.#settings;
    if (this.#count >= warmUp) {
      const deviation = Math.sqrt(this.#squares / this.#count);
      // A single wild value is no drift: it counts for at most a few deviations.
      const rise = deviation > 0 ? Math.min(5, (value - this.#mean) / deviation) : value > this.#mean ? 5 : 0;
      this.#sum += rise - tolerance;
      if (this.#sum <= this.#lowest || Number.isNaN(this.#since)) {
        this.#lowest = Math.min(this.#lowest, this.#sum);
        this.#since = time;
      }
      this.#alarm = this.#sum - this.#lowest > threshold;
      // What is far outside does not become the new normal while it is being judged.
      if (rise > 3) return;
    }
    this.#count++;
    const difference = value - this.#mean;
    this.#mean += difference / this.#count;
    this.#squares += difference * (value - this.#mean);
  }
}
