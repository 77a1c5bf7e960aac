// Compiles the WebAssembly kernel from src/models/kernel/assembly. The result is kept in the repository, and a test holds
// the two in step: run this after a change of the assembly.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = process.argv[2] ?? 'src/models/kernel/wasm/kernel.wasm';
const asc = spawnSync(
  process.execPath,
  [
    'node_modules/assemblyscript/bin/asc.js',
    'src/models/kernel/assembly/index.ts',
    ...['--outFile', out, '--runtime', 'stub', '--use', 'abort=', '--noAssert', '-O3', '--converge'],
    // Shared memory, so that training threads work on one heap.
    ...['--enable', 'simd', '--enable', 'threads', '--importMemory', '--sharedMemory'],
    ...['--initialMemory', '1', '--maximumMemory', '65536'],
  ],
  { cwd: root, stdio: 'inherit' },
);
process.exit(asc.status ?? 1);
