import { parentPort, workerData } from 'node:worker_threads';
import { isFleetcastError, messageOf } from '../../errors.ts';
import { Engine } from '../engine.ts';
import type { FromThread, ThreadData, ThreadError, ThreadModule, ToThread } from './messages.ts';

/** An engine in a worker thread. A failure to start ends the thread; its owner starts another. */
const STATUS_MS = 200;

const { module, args, thread } = workerData as ThreadData;
const port = parentPort!;
const post = (message: FromThread): void => port.postMessage(message);

const { default: make } = (await import(module)) as { default: ThreadModule };
const setup = await make(args, thread);
const engine = new Engine({
  ...setup.options,
  memberId: `${setup.options.memberId ?? `${setup.options.group}-${process.pid}`}-t${thread}`,
  onEvent: (event) => {
    setup.options.onEvent?.(event);
    const { kind, task, message } = event;
    post({ kind: 'event', event: { kind, task, message } });
  },
});

port.on('message', (message: ToThread) => {
  if (message.kind === 'stop') void stop();
  else void answer(message);
});
await engine.start();
post({ kind: 'started' });
const tell = (): void => post({ kind: 'status', tasks: engine.status(), counts: engine.counts() });
const timer = setInterval(tell, STATUS_MS);
engine.finished().then(
  () => {
    tell();
    post({ kind: 'finished' });
  },
  (error: unknown) => {
    tell();
    post({ kind: 'finished', error: toError(error) });
  },
);

async function answer(message: Exclude<ToThread, { kind: 'stop' }>): Promise<void> {
  const { id, node, store } = message;
  try {
    const state = engine.state(node, store);
    const value = await (message.kind === 'get' ? state.get(message.key) : state.range(message.options));
    post({ kind: 'answer', id, value });
  } catch (error) {
    post({ kind: 'answer', id, error: toError(error) });
  }
}

async function stop(): Promise<void> {
  clearInterval(timer);
  await engine.stop();
  await setup.close?.();
  port.close();
}

function toError(error: unknown): ThreadError {
  return { code: isFleetcastError(error) ? error.code : undefined, message: messageOf(error) };
}
