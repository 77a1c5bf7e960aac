import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // Much of the suite waits for brokers and time-outs: one worker, the default on two processors, leaves them idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // One second, the default, is short for a browser on a busy machine.
    expect: { poll: { timeout: 30_000 } },
  },
});
