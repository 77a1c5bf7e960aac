import type { MqttClient } from 'mqtt';

/** Where Mosquitto counts the messages that it has thrown away because a client's queue was full. */
export const DROPS_TOPIC = '$SYS/broker/publish/messages/dropped';

/**
 * Watches the broker's own count of messages that it has dropped, of any client, where it has one and shows it to us.
 * A broker that hangs up on the question is not asked again.
 */
export class BrokerDrops {
  /** As the broker counts: since its start; undefined where it does not say. */
  total: number | undefined;
  readonly #onGrown: (total: number, more: number) => void;
  #asking = false;
  #refused = false;

  /** @param onGrown told of the count where it has grown, and at first where it is not 0. */
  constructor(onGrown: (total: number, more: number) => void) {
    this.#onGrown = onGrown;
  }

  /** To be called for each new session. */
  ask(client: MqttClient): void {
    if (this.#refused) return;
    this.#asking = true;
    client.subscribe(DROPS_TOPIC, { qos: 0 }, (error, granted) => {
      if (error === null) this.#asking = false;
      if (granted?.some(({ qos }) => qos > 2)) this.#refused = true;
    });
  }

  closed(): void {
    if (this.#asking) this.#refused = true;
    this.#asking = false;
  }

  /** Takes a message if it is the count. */
  take(topic: string, payload: Uint8Array): boolean {
    if (topic !== DROPS_TOPIC) return false;
    const total = Number(Buffer.from(payload).toString());
    if (!Number.isSafeInteger(total)) return true;
    // A broker that was restarted begins anew.
    const before = this.total === undefined || total < this.total ? 0 : this.total;
    this.total = total;
    if (total > before) this.#onGrown(total, total - before);
    return true;
  }
}
