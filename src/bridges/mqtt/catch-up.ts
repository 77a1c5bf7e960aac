/** So many of the last messages are remembered: as many as there are packet identifiers. */
const REMEMBERED = 65_536;
const LAST_PACKET = 0xffff;
/** Unknown messages in a row after which the broker has caught up. */
const NEW_IN_A_ROW = 16;

/**
 * Tells what a broker delivers twice without saying so. One that was killed may have forgotten its last acknowledgements
 * and sends those messages again as if they were new. So after a reconnection to an old session, the messages that are
 * known from before count as redelivered, each once, until a number in a row are not known: a broker goes on in order.
 *
 * Packet identifiers tell a message that comes again from another one that says the same, as long as the broker goes on
 * counting. One that begins anew at each connection gives other messages the same identifiers: then only what was said
 * once can be told to come again, and a sensor that says the same again and again loses nothing.
 */
export class CatchUp {
  readonly #ring: string[] = [];
  #next = 0;
  /** What an earlier process has left on the log; dropped when this one has taken enough of its own. */
  #earlier: readonly string[];
  /** While the broker may be sending again: what it may send. */
  #known: Set<string> | undefined;
  #left = 0;
  /** Packet identifier of the first message of this connection, and of the one before, that was not sent before. */
  #first: number | undefined;
  #firstBefore: number | undefined;

  /** @param earlier fingerprints of the last readings on the log. */
  constructor(earlier: readonly string[] = []) {
    this.#earlier = earlier;
  }

  /** To be told of each new connection, before its first message. */
  connected(sessionPresent: boolean): void {
    this.#known = sessionPresent ? new Set([...this.#earlier, ...this.#ring]) : undefined;
    this.#left = NEW_IN_A_ROW;
    this.#firstBefore = this.#first ?? this.#firstBefore;
    this.#first = undefined;
  }

  /**
   * @param print fingerprint of the message: of its content, and then its packet identifier as four digits.
   * @param duplicate the broker says itself that it has sent it before.
   */
  isRepeat(print: string, duplicate: boolean): boolean {
    if (!duplicate && this.#first === undefined) {
      this.#first = packetOf(print);
      if (this.#countsAnew()) this.#forgetWhatIsSaidAgain();
    }
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

  /** Of a process that has just begun it is not known how the connection before began. */
  #countsAnew(): boolean {
    const newest = this.#ring[(this.#next + REMEMBERED - 1) % REMEMBERED] ?? this.#earlier.at(-1);
    if (this.#first !== 1 || newest === undefined || packetOf(newest) === LAST_PACKET) return false;
    return (this.#firstBefore ?? 1) === 1;
  }

  #forgetWhatIsSaidAgain(): void {
    if (this.#known === undefined) return;
    const seen = new Set<string>();
    const again = new Set<string>();
    for (const print of this.#known) (seen.has(contentOf(print)) ? again : seen).add(contentOf(print));
    for (const print of this.#known) if (again.has(contentOf(print))) this.#known.delete(print);
  }
}

function contentOf(print: string): string {
  return print.slice(0, -4);
}

function packetOf(print: string): number {
  return Number.parseInt(print.slice(-4), 16);
}
