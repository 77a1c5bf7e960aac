import type { Activation, ModelEvent } from '../events/records.ts';
import { activationRecords, type Desk, eventRecord, publish } from './publisher.ts';

export interface ActivateOptions extends Desk {
  readonly name: string;
  /** Empty takes the role away. */
  readonly modelId: string;
  readonly role: Activation['role'];
  readonly reason: string;
  /** What the event is called; by the role where left out. */
  readonly kind?: ModelEvent['kind'];
  /** Facts for the event. */
  readonly details?: object;
  /** Model that becomes challenger in the same transaction: the old champion, to be watched against the new one. */
  readonly shadow?: string;
}

/**
 * Makes a model champion or challenger: an activation in every partition of `readings` and the event that tells of it,
 * all in one transaction. Each partition changes at its own offset, and a replay changes at the same.
 */
export async function activate(options: ActivateOptions): Promise<void> {
  const { name, modelId, role, reason, topics } = options;
  const time = options.now();
  const records = await activationRecords(options, { name, modelId, role, time, reason });
  const kind = options.kind ?? (role === 'champion' ? 'promoted' : 'shadowed');
  records.push(eventRecord(topics, { name, kind, modelId, time, reason }, options.details ?? {}));
  if (options.shadow !== undefined && options.shadow !== '') {
    const shadow = { name, modelId: options.shadow, role: 'challenger', time, reason } as const;
    records.push(...(await activationRecords(options, shadow)));
    records.push(eventRecord(topics, { name, kind: 'shadowed', modelId: options.shadow, time, reason }, {}));
  }
  await publish(options, records);
}
