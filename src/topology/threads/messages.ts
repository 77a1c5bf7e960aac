import type { ErrorCode } from '../../errors.ts';
import type { ThreadPermit } from '../../log/thread-permit.ts';
import type { EngineOptions } from '../engine.ts';
import type { PartitionWaitStatus } from '../partition-waits.ts';
import type { StandbyStatus } from '../standby.ts';
import type { StateRange } from '../state-reader.ts';
import type { TaskEvent } from '../task-options.ts';
import type { TaskStatus } from '../task-status.ts';

/** What the module of a thread makes: an engine's options with a log of the thread's own, and how to close that. */
export interface ThreadSetup {
  readonly options: EngineOptions;
  close?(): Promise<void>;
}

/** Default export of the module that `EngineThreads` runs in each thread. */
export type ThreadModule<A = unknown> = (args: A, thread: number) => ThreadSetup | Promise<ThreadSetup>;

export interface ThreadData {
  readonly module: string;
  readonly args: unknown;
  readonly thread: number;
  readonly permit: ThreadPermit;
  /** The thread has been started before. */
  readonly again: boolean;
}

export type Question =
  | { readonly kind: 'find'; readonly node: string; readonly store: string; readonly key: string }
  | { readonly kind: 'range'; readonly node: string; readonly store: string; readonly options: StateRange };

export type ToThread = { readonly kind: 'stop' } | (Question & { readonly id: number });

export interface ThreadError {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly cause?: ThreadError;
}

export type FromThread =
  | { readonly kind: 'started' }
  /** It did not come to run, and another try would not either. */
  | { readonly kind: 'refused'; readonly error: ThreadError }
  | {
      readonly kind: 'status';
      readonly tasks: TaskStatus[];
      readonly standbys: StandbyStatus[];
      readonly waiting: PartitionWaitStatus[];
      readonly idle: boolean;
      readonly counts: Record<string, Record<string, number>>;
    }
  | { readonly kind: 'event'; readonly event: Omit<TaskEvent, 'error'>; readonly error?: ThreadError }
  | { readonly kind: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: ThreadError }
  | { readonly kind: 'finished'; readonly error?: ThreadError };
