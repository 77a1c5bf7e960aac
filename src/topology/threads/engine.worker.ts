import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { FleetcastError, isFleetcastError, messageOf } from '../../errors.ts';
import { carryPermit } from '../../log/thread-permit.ts';
import { Engine } from '../engine.ts';
import type { FromThread, ThreadData, ThreadModule, ThreadSetup, ToThread } from './messages.ts';
import { toError } from './thread-error.ts';

/** How often a thread tells how its tasks fare. */
const STATUS_MS = 200;
/** For what was opened before a start failed to be closed. */
const CLOSE_MS = 5_000;

const { module, args, thread, again, permit } = workerData as ThreadData;
carryPermit(permit);
const port = parentPort!;
const post = (message: FromThread): void => port.postMessage(message);
let setup: ThreadSetup | undefined;
let engine: Engine | undefined;

try {
  await start();
} catch (error) {
  // Another start may mend what is away for a while, and what befalls a thread that has run before.
  const mends = isFleetcastError(error) ? error.retryable : again;
  if (mends) throw error;
  post({ kind: 'refused', error: toError(error) });
  const close = async (): Promise<void> => {
    await engine?.stop();
    await setup?.close?.();
  };
  await Promise.race([close().catch(() => {}), pause(CLOSE_MS)]);
  process.exit(0);
}

/** Resolves when the engine has joined its group. */
async function start(): Promise<void> {
  setup = await (await threadModule())(args, thread);
  const { options } = setup;
  const made = new Engine({
    ...options,
    memberId: `${options.memberId ?? `${options.group}-${process.pid}`}-t${thread}`,
    onEvent: (event) => {
      options.onEvent?.(event);
      const { kind, task, message, error } = event;
      const told = error === undefined ? {} : { error: toError(error) };
      post({ kind: 'event', event: { kind, task, message }, ...told });
      // At once: the thread may be gone before it would tell of the task the next time.
      if (kind === 'started') tell();
    },
  });
  engine = made;
  const tell = (): void => {
    const [tasks, standbys, waiting] = [made.status(), made.standbys(), made.waiting()];
    post({ kind: 'status', tasks, standbys, waiting, idle: made.idle(), counts: made.counts() });
  };
  let timer: NodeJS.Timeout | undefined;
  let joined = false;
  let stopping = false;
  port.on('message', (message: ToThread) => {
    if (message.kind !== 'stop') return void answer(made, message);
    stopping = true;
    clearInterval(timer);
    // A start under way would join after the end.
    if (joined) void stop(made);
  });
  await made.start();
  joined = true;
  if (stopping) return stop(made);
  post({ kind: 'started' });
  tell();
  timer = setInterval(tell, STATUS_MS);
  made.finished().then(
    () => {
      tell();
      post({ kind: 'finished' });
    },
    (error: unknown) => {
      tell();
      post({ kind: 'finished', error: toError(error) });
    },
  );
}

/** @throws USAGE for a module that cannot be loaded or has no function as its default export. */
async function threadModule(): Promise<ThreadModule> {
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(module)) as typeof loaded;
  } catch (cause) {
    throw new FleetcastError('USAGE', `the module of the threads cannot be loaded: ${messageOf(cause)}`, { cause });
  }
  if (typeof loaded.default === 'function') return loaded.default as ThreadModule;
  throw new FleetcastError('USAGE', `the module of the threads, ${module}, has no function as its default export`);
}

async function answer(engine: Engine, message: Exclude<ToThread, { kind: 'stop' }>): Promise<void> {
  const { id, node, store } = message;
  try {
    const state = engine.state(node, store);
    const value = await (message.kind === 'find' ? state.find(message.key) : state.range(message.options));
    post({ kind: 'answer', id, value });
  } catch (error) {
    post({ kind: 'answer', id, error: toError(error) });
  }
}

async function stop(engine: Engine): Promise<void> {
  await engine.stop();
  await setup?.close?.();
  port.close();
}
