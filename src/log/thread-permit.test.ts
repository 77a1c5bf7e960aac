import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { carryPermit, condemn, condemnBlocking, insideSince, newPermit, unended } from './thread-permit.ts';

it('lets a thread into a write until it is condemned, and condemns none that is inside', () => {
  expect(unended(() => 'no permit')).toBe('no permit');
  const permit = newPermit();
  carryPermit(permit);
  const entries: (number | undefined)[] = [];
  const write = () =>
    unended(() => {
      entries.push(insideSince(permit));
      unended(() => {});
      // What is within a write has not ended it.
      expect(condemn(permit)).toBe(false);
      return 'written';
    });
  expect([write(), write()]).toEqual(['written', 'written']);
  expect(new Set(entries).size).toBe(2);
  expect(entries).not.toContain(undefined);
  expect(insideSince(permit)).toBeUndefined();
  const failing = () => {
    throw new Error('disk');
  };
  expect(() => unended(failing)).toThrow('disk');
  expect(condemn(permit)).toBe(true);
  expect(condemn(permit)).toBe(true);
  expect(write).toThrow(expect.objectContaining({ code: 'LOG_CLOSED' }));
  expect(entries).toHaveLength(2);
});

it('waits for a thread that is inside to come out, no longer than it may', async () => {
  const permit = newPermit();
  const go = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     Atomics.store(workerData.permit, 0, 1);
     parentPort.postMessage('inside');
     Atomics.wait(workerData.go, 0, 0);
     Atomics.wait(workerData.go, 0, 1, 50);
     Atomics.store(workerData.permit, 0, 0);
     Atomics.notify(workerData.permit, 0);`,
    { eval: true, workerData: { permit, go } },
  );
  await once(worker, 'message');
  expect(condemnBlocking(permit, 1)).toBe(false);
  Atomics.store(go, 0, 1);
  Atomics.notify(go, 0);
  expect(condemnBlocking(permit, 30_000)).toBe(true);
  await worker.terminate();
});
