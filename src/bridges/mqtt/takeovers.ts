/** A connection that ends within this time of being accepted, and without a reason, was ended by somebody else. */
const SHORT_MS = 5_000;
/** So many of them in a row are no accident. */
const IN_A_ROW = 3;

/**
 * Tells whether another client takes the session again and again, because it has the same client id. MQTT 5 says so
 * (DISCONNECT 0x8E), where the broker does: Mosquitto 2.0.11 does not. Otherwise it shows in connections that end within
 * seconds of being accepted.
 */
export class Takeovers {
  /** Times that the session was taken, as far as can be known. */
  count = 0;
  readonly #stableMs: number;
  #acceptedAt: number | undefined;
  #short = 0;
  #active = false;

  /** @param stableMs a connection that has lasted so long ends the suspicion. */
  constructor(stableMs: number) {
    this.#stableMs = Math.max(stableMs, SHORT_MS);
  }

  /** @param at milliseconds of a clock that never goes back. */
  accepted(at: number): void {
    this.#acceptedAt = at;
  }

  /**
   * To be told of each connection that has ended.
   * @param how `taken`: the broker says that the session was taken; `explained`: another reason is known.
   * @returns whether the session was taken.
   */
  closed(at: number, how: 'taken' | 'explained' | 'silent'): boolean {
    const lasted = this.#acceptedAt === undefined ? undefined : at - this.#acceptedAt;
    this.#acceptedAt = undefined;
    if (lasted === undefined) return false;
    if (lasted >= this.#stableMs) this.#active = false;
    this.#short = how === 'silent' && lasted < SHORT_MS ? this.#short + 1 : 0;
    const taken = how === 'taken' || this.#short >= IN_A_ROW || (how === 'silent' && this.#active);
    if (taken) {
      this.#active = true;
      this.count++;
    }
    return taken;
  }

  /** The last ending was one, and no connection has lasted since. */
  active(at: number): boolean {
    return this.#active && !(this.#acceptedAt !== undefined && at - this.#acceptedAt >= this.#stableMs);
  }
}
