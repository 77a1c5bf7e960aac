import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../../test/models/weights-digest.mjs', import.meta.url));

/**
 * The same bits whatever compiles the kernel and for whatever processor: V8's baseline and optimising compilers, and
 * instructions without AVX. The digest is written down, so that every machine that runs the tests must come to it.
 */
it('trains to the same bits under other compilers and instruction sets, and on every machine', async () => {
  const run = async (...args: string[]) => (await promisify(execFile)(process.execPath, args)).stdout.trim();
  const x86 = process.arch === 'x64' ? [['--no-enable-avx', script]] : [];
  const digests = await Promise.all(
    [[script], [script, '2'], ['--liftoff-only', script], ['--no-liftoff', script], ...x86].map((args) => run(...args)),
  );
  expect(new Set(digests).size).toBe(1);
  expect(digests[0]).toMatchInlineSnapshot(`"be4df5e4bad54800aba039590d342f50163f9bbd05181185fb11e9837e050e4d"`);
});
