/** So many of the last messages are remembered at least: twice what a broker usually sends ahead. */
const REMEMBERED = 16_384;
/** Unknown messages in a row after which the broker has caught up. */
const NEW_IN_A_ROW = 16;

/**
 * Tells what a broker delivers twice without saying so. One that was killed may have forgotten its last acknowledgements
 * and sends those messages again as if they were new. So after a reconnection, the messages that are known from before
 * count as redelivered, until a number in a row are not known: a broker goes on in order.
 */
export class CatchUp {
  #young = new Set<string>();
  #old = new Set<string>();
  #connection: object | undefined;
  /** Unknown messages that may still come before all is new; 0 where all is. */
  #catching = 0;

  /** @param print fingerprint of topic and payload. */
  isRepeat(print: string, connection: object): boolean {
    if (connection !== this.#connection) {
      this.#catching = this.#connection === undefined ? 0 : NEW_IN_A_ROW;
      this.#connection = connection;
    }
    if (this.#catching > 0) {
      if (this.#young.has(print) || this.#old.has(print)) {
        this.#catching = NEW_IN_A_ROW;
        return true;
      }
      this.#catching--;
    }
    // Two generations: deleting the oldest from one set would cost more than everything else here.
    if (this.#young.size >= REMEMBERED) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(print);
    return false;
  }
}
