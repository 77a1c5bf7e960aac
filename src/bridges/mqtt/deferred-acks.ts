import type { IPublishPacket, MqttClient } from 'mqtt';

/** What it takes to acknowledge a message. */
export interface Receipt {
  readonly qos: 0 | 1 | 2;
  /** 0 for QoS 0. */
  readonly messageId: number;
  /** The connection it came over: an acknowledgement is valid there only. */
  readonly connection: object;
}

/** A message from the broker. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retained: boolean;
  /** The broker has sent it before. */
  readonly duplicate: boolean;
}

/** Takes a message; a promise holds the reader until it resolves (it must not reject). */
export type Take = (message: Message, receipt: Receipt) => Promise<void> | undefined;

/**
 * Takes the acknowledgement of incoming messages away from mqtt.js (5.16): `take` gets every message in the order of
 * arrival, and nothing is sent until {@link acknowledge}. What is not acknowledged when the connection ends is
 * delivered again by the broker.
 *
 * How: `handleMessage` answers with an error, which makes mqtt.js go on without a PUBACK; for QoS 2
 * `customHandleAcks` does the same for the PUBREC. The PUBREL of a message whose PUBREC came from us finds nothing in
 * the store and is answered with PUBCOMP at once, which is right: the message is on the log by then.
 */
export function deferAcknowledgements(client: MqttClient, take: Take): void {
  const taken = ({ topic, payload, qos, retain, dup, messageId = 0 }: IPublishPacket) =>
    take(
      {
        topic,
        payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
        retained: retain,
        duplicate: dup,
      },
      { qos, messageId, connection: client.stream },
    );
  client.handleMessage = (packet, callback) => {
    const wait = taken(packet);
    if (wait === undefined) callback(DEFERRED);
    else wait.then(() => callback(DEFERRED));
  };
  client.options.customHandleAcks = (_topic, _message, packet, callback) => {
    if (packet.qos !== 2) {
      callback(0);
      return;
    }
    const wait = taken(packet);
    if (wait === undefined) callback(DEFERRED, 0);
    else wait.then(() => callback(DEFERRED, 0));
  };
}

const DEFERRED = new Error('acknowledged later');

/** True for the error that mqtt.js emits for each deferred QoS 2 message: it means nothing. */
export function isDeferral(error: unknown): boolean {
  return error === DEFERRED;
}

/**
 * Sends PUBACK (QoS 1) or PUBREC (QoS 2) for messages in the order of their arrival, as one write: mqtt.js would write
 * each by itself. Those of a connection that has ended are left out.
 *
 * @returns how many were sent.
 */
export function acknowledge(client: MqttClient, receipts: readonly Receipt[]): number {
  if (!client.connected) return 0;
  const bytes = Buffer.allocUnsafe(receipts.length * 4);
  let length = 0;
  for (const { qos, messageId, connection } of receipts) {
    if (qos === 0 || connection !== client.stream) continue;
    bytes[length++] = qos === 1 ? PUBACK : PUBREC;
    bytes[length++] = 2;
    length = bytes.writeUInt16BE(messageId, length);
  }
  if (length > 0) client.stream.write(bytes.subarray(0, length));
  return length / 4;
}

/** Fixed headers (MQTT 3.1.1 sections 3.4 and 3.5). With MQTT 5 a length of 2 means reason code 0, "success". */
const PUBACK = 0x40;
const PUBREC = 0x50;
