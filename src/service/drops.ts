import type { BridgeStatus } from '../bridges/mqtt/bridge.ts';
import type { Drop, Note } from './status.ts';

/** What is worth a note although every record went on. */
const NOTED: ReadonlySet<string> = new Set([
  'late-corrected',
  'closed-idle',
  'gap-buckets',
  'model-not-finite',
  'naive-kept',
  'no-model',
]);

/** What nodes count that is no drop. Any other reason is shown as one: a new reason cannot hide. */
const NO_DROP: ReadonlySet<string> = new Set([
  ...NOTED,
  'window-corrected',
  'forecast-model',
  'forecast-naive',
  'activated',
  'activation-of-another-line',
  'alert-goes-on',
]);

export interface DropInput {
  readonly bridge: BridgeStatus | undefined;
  /** What the embedded broker refused, by reason. */
  readonly broker: Readonly<Record<string, number>>;
  /** Node to reason to number. */
  readonly nodes: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Reasons of the dead letters on the log. */
  readonly deadLetters: ReadonlyMap<string, number>;
}

/** Everything that did not go on since the start of this process, by place and reason. */
export function dropsOf({ bridge, broker, nodes, deadLetters }: DropInput): Drop[] {
  const drops: Drop[] = [];
  const add = (where: string, reason: string, count: number, kept: boolean) => {
    if (count > 0) drops.push({ where, reason, count, kept });
  };
  for (const [reason, count] of Object.entries(broker)) add('broker', reason, count, false);
  for (const [reason, count] of Object.entries(bridge?.deadLetters ?? {})) add('bridge', reason, count, true);
  for (const [reason, count] of Object.entries(bridge?.dropped ?? {})) add('bridge', reason, count, false);
  for (const [node, reasons] of Object.entries(nodes)) {
    for (const [reason, count] of Object.entries(reasons)) {
      if (!NO_DROP.has(reason)) add(node, reason, count, deadLetters.has(reason));
    }
  }
  return drops;
}

/** What nodes have noted without losing anything. */
export function notesOf(nodes: DropInput['nodes']): Note[] {
  return Object.entries(nodes).flatMap(([where, reasons]) =>
    Object.entries(reasons)
      .filter(([reason, count]) => NOTED.has(reason) && count > 0)
      .map(([reason, count]) => ({ where, reason, count })),
  );
}
