import { BroadcastChannel, threadId } from 'node:worker_threads';
import { type ErrorCode, FleetcastError, isFleetcastError, messageOf } from '../../errors.ts';
import type { ModelRegistry } from '../../pipelines/model-registry.ts';

/**
 * Models are compared with TensorFlow.js once for the process, not once for each thread that serves them: threads ask
 * the main thread, whose registry has compared most models when they were trained.
 */
interface Ask {
  readonly kind: 'ask';
  readonly thread: number;
  readonly number: number;
  readonly id: string;
  readonly bytes: Uint8Array;
}

interface Answer {
  readonly kind: 'answer';
  readonly thread: number;
  readonly number: number;
  readonly error?: { readonly code: ErrorCode | undefined; readonly message: string };
}

interface Delivery {
  readonly data: Ask | Answer;
}

/** Answers the threads of this process that ask under this name. @returns how to end it */
export function openVerificationDesk(name: string, registry: ModelRegistry): () => void {
  const channel = new BroadcastChannel(name);
  const answer = async ({ thread, number, id, bytes }: Ask): Promise<Answer> => {
    try {
      await registry.verified(id, bytes);
      return { kind: 'answer', thread, number };
    } catch (error) {
      const code = isFleetcastError(error) ? error.code : undefined;
      return { kind: 'answer', thread, number, error: { code, message: messageOf(error) } };
    }
  };
  let open = true;
  channel.onmessage = (message: unknown) => {
    const { data } = message as Delivery;
    if (data.kind !== 'ask') return;
    void answer(data).then((reply) => {
      if (open) channel.postMessage(reply);
    });
  };
  return () => {
    open = false;
    channel.close();
  };
}

export interface VerificationClient {
  /** @throws MODEL_INVALID, MODEL_DISAGREES, TRAINER_UNAVAILABLE */
  verify(id: string, bytes: Uint8Array): Promise<void>;
  close(): void;
}

/** For a thread: asks the desk of this name. Who asks before it is open waits for ever. */
export function verificationClient(name: string): VerificationClient {
  const channel = new BroadcastChannel(name);
  const waiting = new Map<number, (answer: Answer) => void>();
  let next = 0;
  channel.onmessage = (message: unknown) => {
    const { data } = message as Delivery;
    if (data.kind !== 'answer' || data.thread !== threadId) return;
    waiting.get(data.number)?.(data);
    waiting.delete(data.number);
  };
  return {
    verify(id, bytes) {
      const number = next++;
      return new Promise((resolve, reject) => {
        waiting.set(number, ({ error }) => {
          if (error === undefined) resolve();
          else reject(new FleetcastError(error.code ?? 'TRAINER_UNAVAILABLE', error.message));
        });
        channel.postMessage({ kind: 'ask', thread: threadId, number, id, bytes } satisfies Ask);
      });
    },
    close: () => channel.close(),
  };
}
