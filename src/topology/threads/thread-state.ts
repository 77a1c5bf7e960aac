import type { Worker } from 'node:worker_threads';
import { isFleetcastError } from '../../errors.ts';
import { type EngineStateReader, type FoundState, mergedRange, type StateRow } from '../state-search.ts';
import type { Question } from './messages.ts';
import { ended, type Questions } from './questions.ts';
import type { ThreadView } from './thread-status.ts';

type Asked = Pick<ThreadView, 'number' | 'state'> & { readonly worker: Worker | undefined };

/** Reads a store of the tasks of all threads, by the rules of `EngineStateReader`. */
export function threadsReader(
  threads: readonly Asked[],
  questions: Questions,
  node: string,
  store: string,
): EngineStateReader {
  const ask = (question: Question): Promise<unknown>[] =>
    threads.flatMap(({ number, state, worker }) => {
      if (worker !== undefined) return [questions.ask(worker, number, question)];
      // One that has been given up has no partitions any more; where all have been, there is none.
      const all = threads.every((thread) => thread.state !== 'up' && thread.state !== 'down');
      return state === 'down' || all ? [Promise.reject(ended(number))] : [];
    });
  const find = async (key: string): Promise<FoundState | undefined> => {
    const answers = ask({ kind: 'find', node, store, key }) as Promise<FoundState | undefined>[];
    // Nothing that another thread may have comes before this one.
    const likely = new Promise<FoundState>((resolve) => {
      for (const answer of answers) answer.then((found) => found?.likely && resolve(found)).catch(() => {});
    });
    return Promise.race([likely, Promise.allSettled(answers).then(firstByPartition)]);
  };
  return {
    find,
    get: async (key) => (await find(key))?.value,
    range: async (options = {}) => {
      const lists = (await Promise.all(ask({ kind: 'range', node, store, options }))) as StateRow[][];
      return mergedRange(lists, options.limit);
    },
  };
}

/**
 * @throws where none has found anything, what kept one from telling; that the partition is with none of them where each
 * says so
 */
function firstByPartition(results: readonly PromiseSettledResult<FoundState | undefined>[]): FoundState | undefined {
  const found = results.flatMap((result) => (result.status === 'fulfilled' ? (result.value ?? []) : []));
  const first = found.sort((a, b) => Number(b.likely) - Number(a.likely) || a.partition - b.partition)[0];
  if (first !== undefined) return first;
  const failures = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
  const elsewhere = failures.filter((error) => isFleetcastError(error, 'STATE_ELSEWHERE')) as unknown[];
  const [failed = elsewhere[0]] = failures.filter((error) => !elsewhere.includes(error));
  // One that has the partition and not the key has told where the others have not.
  if (failures.length > elsewhere.length || elsewhere.length === results.length) throw failed;
  return undefined;
}
