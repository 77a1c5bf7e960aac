import type { Collector, StreamRecord } from '../operators/operator.ts';

/**
 * Where a record goes that an operator cannot use, because it is late or from the future. It is counted in every case.
 * - `output`: to the named output of the node.
 * - `dead-letter`: the input record that caused it, to the dead letters.
 * - `drop`: nowhere.
 */
export type Aside = 'output' | 'dead-letter' | 'drop';

/** @param policy undefined: to the output where something reads it, to the dead letters otherwise. */
export function putAside(
  policy: Aside | undefined,
  reason: string,
  message: string,
  { value, time }: Pick<StreamRecord<unknown>, 'value' | 'time'>,
  out: Collector<unknown>,
): void {
  out.count(reason);
  const to = policy ?? (out.connected(reason) ? 'output' : 'dead-letter');
  if (to === 'output') out.emitTo(reason, value, time);
  else if (to === 'dead-letter') out.deadLetter(reason, message);
}

/** For messages; also for times that no date can be made of. */
export function timeText(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}

export function aheadText({ time, ingestTime }: Pick<StreamRecord<unknown>, 'time' | 'ingestTime'>): string {
  return `${timeText(time)} is ${time - ingestTime} ms ahead of when it came in`;
}
