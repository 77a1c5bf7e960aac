import { randomUUID } from 'node:crypto';
import { FleetcastError, isFleetcastError } from '../../errors.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { ModelRegistry } from '../../pipelines/model-registry.ts';
import { Engine } from '../../topology/engine.ts';
import type { PartitionWaitStatus } from '../../topology/partition-waits.ts';
import type { StandbyStatus } from '../../topology/standby.ts';
import type { EngineStateReader } from '../../topology/state-search.ts';
import type { TaskEvent } from '../../topology/task-options.ts';
import type { TaskStatus } from '../../topology/task-status.ts';
import { EngineThreads } from '../../topology/threads/engine-threads.ts';
import type { LoadedConfiguration } from '../configuration/load.ts';
import type { Logger } from '../logging/logger.ts';
import { engineOptionsOf } from './engine-options.ts';
import type { PipelineThreadArgs } from './pipeline.thread.ts';
import { openVerificationDesk } from './verification-desk.ts';

/** The engine as the rest of the service sees it, wherever its tasks run. */
export interface RunningEngine {
  status(): TaskStatus[];
  standbys(): StandbyStatus[];
  waiting(): PartitionWaitStatus[];
  idle(): boolean;
  counts(): Record<string, Record<string, number>>;
  state(node: string, store: string): EngineStateReader;
  /** Threads that have crashed and been started again. */
  restarts(): number;
  stop(): Promise<void>;
}

export interface EngineStart {
  readonly configuration: LoadedConfiguration;
  readonly log: EventLog;
  readonly registry: ModelRegistry;
  readonly logger: Logger;
  readonly connectMs: number | undefined;
  /** The log was given to the service: threads could not open it. */
  readonly givenLog: boolean;
  /** Called where no thread is left that could go on. */
  readonly onLost: (error: unknown) => void;
}

/** Starts the forecasting pipeline: in this thread, or on as many as `pipeline.threads` says. @throws as `Engine.start` */
export async function startEngine(start: EngineStart): Promise<RunningEngine> {
  const { configuration, log, registry, logger, connectMs, givenLog, onLost } = start;
  const { threads: count } = configuration.pipeline;
  const onEvent = (event: TaskEvent): void => logTaskEvent(event, logger);
  if (count === 1) {
    const engine = new Engine({ ...engineOptionsOf(configuration, registry), log, onEvent });
    await engine.start();
    return running(
      engine,
      () => 0,
      () => engine.stop(),
    );
  }
  if (givenLog) throw new FleetcastError('USAGE', 'with pipeline.threads each thread opens the configured log itself');
  const desk = `fleetcast-models-${randomUUID()}`;
  const closeDesk = openVerificationDesk(desk, registry);
  const args: PipelineThreadArgs = { configuration, desk, connectMs };
  const threads = new EngineThreads({ module: threadFile(), args, threads: count, onEvent, onLost });
  const stop = async (): Promise<void> => {
    await threads.stop();
    closeDesk();
  };
  try {
    await threads.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return running(threads, () => threads.restarts, stop);
}

function running(engine: Engine | EngineThreads, restarts: () => number, stop: () => Promise<void>): RunningEngine {
  return {
    status: () => engine.status(),
    standbys: () => engine.standbys(),
    waiting: () => engine.waiting(),
    idle: () => engine.idle(),
    counts: () => engine.counts(),
    state: (node, store) => engine.state(node, store),
    restarts,
    stop,
  };
}

const WARNINGS: ReadonlySet<TaskEvent['kind']> = new Set(['backing-off', 'not-purged', 'retention']);

function logTaskEvent({ kind, task, message, error }: TaskEvent, logger: Logger): void {
  const level = kind === 'failed' ? 'error' : WARNINGS.has(kind) ? 'warn' : 'info';
  const text = message === '' ? kind : message;
  // What is known by its code and mends by itself needs no stack, least of all one for each task and attempt.
  if (kind === 'backing-off' && isFleetcastError(error)) logger[level]({ task, code: error.code }, text);
  else logger[level]({ task, err: error }, text);
}

/** Beside this file; from the sources (tests), the built one, because threads cannot run TypeScript. */
function threadFile(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('../../../dist/service/engine/pipeline.thread.js', import.meta.url)
    : new URL('./pipeline.thread.js', import.meta.url);
}
