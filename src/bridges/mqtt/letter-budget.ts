const HOUR = 3_600_000;
/** Topics that are told apart; what comes from further ones is counted as that of one. */
const MAX_TOPICS = 10_000;
/** What is kept of a payload beyond the first half of a budget. */
export const SHORT_BYTES = 2_048;
/** What a letter costs beside its payload. */
const OVERHEAD = 256;

/**
 * What the messages of one MQTT topic may put into the dead letters in an hour of arrivals: half of it whole, then only
 * the beginnings, then nothing. So a device that sends nothing but rubbish does not fill the log of all.
 */
export class LetterBudget {
  readonly #bytes: number;
  #hour = Number.NEGATIVE_INFINITY;
  readonly #spent = new Map<string, number>();

  /** @param bytes of one topic in an hour */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /**
   * @param wanted bytes of the payload that are to be kept
   * @param time of the arrival, milliseconds; it never goes back
   * @returns how many of them may be, or undefined where there is to be no letter
   */
  take(topic: string, wanted: number, time: number): number | undefined {
    const hour = Math.floor(time / HOUR);
    if (hour !== this.#hour) {
      this.#hour = hour;
      this.#spent.clear();
    }
    const name = this.#spent.has(topic) || this.#spent.size < MAX_TOPICS ? topic : '';
    const spent = this.#spent.get(name) ?? 0;
    const cost = (bytes: number): number => bytes + topic.length + OVERHEAD;
    const short = Math.min(wanted, SHORT_BYTES);
    const kept =
      spent + cost(wanted) <= this.#bytes / 2 ? wanted : spent + cost(short) <= this.#bytes ? short : undefined;
    if (kept !== undefined) this.#spent.set(name, spent + cost(kept));
    return kept;
  }
}
