import { FleetcastError, messageOf } from '../errors.ts';
import type { DeadLetter } from '../events/records.ts';
import type { Position } from '../operators/operator.ts';
import { asBuffer, keyText } from './bytes.ts';
import type { Counts } from './counts.ts';
import type { MicroBatch } from './micro-batch.ts';
import type { ErrorPolicy, OperatorNode, SinkNode } from './topology.ts';

export type Verdict = 'fail' | 'dead-letter' | 'retry';

/**
 * What the task decides about a failure: it knows how often this one was tried.
 * @param failure the node, the record and the key: of one record several keys may fail, by timers.
 */
export type Judge = (policy: ErrorPolicy, failure: string) => Verdict;

/** What a letter may have beside its payload: message, key and names. */
const LETTER_BYTES = 64 * 1024;
const MESSAGE_LENGTH = 8 * 1024;

interface Place {
  readonly task: string;
  readonly partition: number;
  readonly maxRecordBytes?: number | undefined;
}

export interface StagedLetter {
  readonly turn: number;
  readonly letter: DeadLetter;
}

/** Applies the policies of nodes, and collects the dead letters of a micro-batch. */
export class PoisonHandler {
  readonly letters: StagedLetter[] = [];
  readonly #partition: number;
  readonly #task: string;
  readonly #counts: Counts;
  readonly #judge: Judge;
  /** Of a payload that is kept; the rest of a letter has its bounds. */
  readonly #maxPayload: number;

  constructor(place: Place, counts: Counts, judge: Judge) {
    this.#task = place.task;
    this.#partition = place.partition;
    this.#counts = counts;
    this.#judge = judge;
    const { maxRecordBytes = Number.POSITIVE_INFINITY } = place;
    this.#maxPayload = Math.max(maxRecordBytes - LETTER_BYTES, maxRecordBytes / 2);
  }

  /** Returns where the record was dead-lettered. @throws OPERATOR_FAILED where the task has to stop or start again. */
  handle(node: OperatorNode | SinkNode, at: Position, error: unknown, batch: MicroBatch): void {
    const { topic } = batch.sourceOf(at.turn);
    const verdict = this.#judge(node.onError, JSON.stringify([node.name, topic, at.offset, at.key]));
    if (verdict !== 'dead-letter') this.#throw(node, at, error, batch, verdict === 'retry');
    const reason = node.kind === 'sink' ? 'encode-failed' : 'operator-failed';
    this.#counts.add(node.name, reason, 1);
    this.letter(at.turn, reason, `${node.name}, key ${at.key}: ${ownStack(error)}`, at.key, batch);
  }

  /** @throws OPERATOR_FAILED, always. @param at where it is known. */
  fail(node: OperatorNode | SinkNode, at: Position | undefined, error: unknown, batch: MicroBatch): never {
    this.#throw(node, at, error, batch, false);
  }

  /** Dead letters for input records that never became items. */
  rejects(batch: MicroBatch): void {
    for (const { turn, reason, message, key } of batch.rejects) this.letter(turn, reason, message, key, batch);
  }

  #throw(
    node: OperatorNode | SinkNode,
    at: Position | undefined,
    cause: unknown,
    batch: MicroBatch,
    retry: boolean,
  ): never {
    const first = batch.inputs[0]?.offset;
    const { topic } = batch.sourceOf(at?.turn ?? 0);
    const place =
      at === undefined
        ? `in a micro-batch that begins at offset ${first}`
        : `at offset ${at.offset}${at.key === '' ? '' : ` (key ${at.key})`}`;
    throw new FleetcastError(
      'OPERATOR_FAILED',
      `${node.name} failed ${place} of ${topic}/${this.#partition}: ${messageOf(cause)}`,
      {
        cause,
        details: {
          node: node.name,
          task: this.#task,
          topic,
          partition: this.#partition,
          offset: at?.offset ?? first,
          key: at?.key,
          retry,
        },
      },
    );
  }

  /** Keeps the input record of a turn. */
  letter(turn: number, reason: string, message: string, key: string, batch: MicroBatch): void {
    const record = batch.inputs[turn]!;
    const payload = asBuffer(record.value ?? new Uint8Array(0));
    const cut = payload.length > this.#maxPayload;
    this.letters.push({
      turn,
      letter: {
        type: 'DeadLetter',
        reason,
        message: message.slice(0, Math.min(MESSAGE_LENGTH, this.#maxPayload / 4)),
        time: record.timestamp,
        origin: batch.sourceOf(turn).topic,
        mqttTopic: '',
        partition: this.#partition,
        offset: record.offset,
        device: key === '' ? keyText(record.key) : key,
        payload: cut ? payload.subarray(0, this.#maxPayload) : payload,
        ...(cut ? { cutFrom: payload.length } : {}),
      },
    });
  }
}

/** The stack down to the engine: the frames above the operator depend on how the batch came about. */
function ownStack(error: unknown): string {
  if (!(error instanceof Error) || error.stack === undefined) return messageOf(error);
  const lines = error.stack.split('\n');
  const end = lines.findIndex((line) => /^\s+at (?:OperatorRunner|SinkRunner)\b/.test(line));
  return lines.slice(0, end < 0 ? undefined : end).join('\n');
}
