import { workerData } from 'node:worker_threads';
import { helpWith } from './chunk-pool.ts';
import type { ChunkShare } from './chunks.ts';
import { lowPriority } from './low-priority.ts';

/** Entry of a helper thread of the kernel trainer. */
const { share, thread } = workerData as { share: ChunkShare; thread: number };
lowPriority();
helpWith(share, thread);
