/** So many of the last messages are remembered: as many as there are packet identifiers. */
const REMEMBERED = 65_536;
/** Unknown messages in a row after which the broker has caught up. */
const NEW_IN_A_ROW = 16;

/**
 * Tells what a broker delivers twice without saying so. One that was killed may have forgotten its last acknowledgements
 * and sends those messages again as if they were new. So after a reconnection to an old session, the messages that are
 * known from before count as redelivered, each once, until a number in a row are not known: a broker goes on in order.
 */
export class CatchUp {
  readonly #ring: string[] = [];
  #next = 0;
  /** What an earlier process has left on the log; dropped when this one has taken enough of its own. */
  #earlier: readonly string[];
  /** While the broker may be sending again: what it may send. */
  #known: Set<string> | undefined;
  #left = 0;

  /** @param earlier fingerprints of the last readings on the log. */
  constructor(earlier: readonly string[] = []) {
    this.#earlier = earlier;
  }

  /** To be told of each new connection, before its first message. */
  connected(sessionPresent: boolean): void {
    this.#known = sessionPresent ? new Set([...this.#earlier, ...this.#ring]) : undefined;
    this.#left = NEW_IN_A_ROW;
  }

  /**
   * @param print fingerprint of the message, its packet identifier in it.
   * @param duplicate the broker says itself that it has sent it before.
   */
  isRepeat(print: string, duplicate: boolean): boolean {
    if (this.#known?.delete(print) === true) {
      this.#left = NEW_IN_A_ROW;
      return true;
    }
    if (this.#known !== undefined && !duplicate && --this.#left === 0) this.#known = undefined;
    this.#ring[this.#next] = print;
    this.#next = (this.#next + 1) % REMEMBERED;
    if (this.#next === 0) this.#earlier = [];
    return false;
  }
}
