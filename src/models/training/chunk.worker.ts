import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import { helpWith } from './chunk-pool.ts';
import type { ChunkShare } from './chunks.ts';

/** Entry of a helper thread of the kernel trainer. */
const { share, thread } = workerData as { share: ChunkShare; thread: number };
try {
  if (process.platform === 'linux') setPriority(0, 10);
} catch {
  // Not allowed to: the helper then runs as an equal.
}
helpWith(share, thread);
