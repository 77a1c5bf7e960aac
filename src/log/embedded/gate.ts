import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { unlock, waitForLockSync } from 'fs-native-extensions';
import { unended } from '../thread-permit.ts';

/**
 * Lets one at a time through, of all processes and threads that open, write or close the database of a log's folder. One
 * that dies inside lets the next one in: it is a lock of the operating system on a file.
 *
 * LMDB needs it. A process that opens a database puts the number of the transaction that it found into LMDB's lock file,
 * where the next writer takes it from, and no lock is held meanwhile: what another process commits in between is
 * overwritten (LMDB's issue ITS#9496, which the bindings have not mended). And the last process that closes a database
 * destroys its locks: one that opens it at that moment finds them destroyed.
 */
export class Gate {
  readonly #fd: number;
  #inside = 0;

  constructor(folder: string) {
    this.#fd = openSync(join(folder, 'gate'), constants.O_RDWR | constants.O_CREAT);
  }

  /** Waits for its turn, blocking the thread, and runs `work` alone on the folder. @throws LOG_CLOSED, see `unended` */
  pass<T>(work: () => T): T {
    if (this.#inside === 0) waitForLockSync(this.#fd);
    this.#inside++;
    try {
      return unended(work);
    } finally {
      if (--this.#inside === 0) unlock(this.#fd);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
