import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const script = fileURLToPath(new URL('./keras_models.py', import.meta.url));
const run = promisify(execFile);

/**
 * A Python that has Keras of this generation: from the environment variable FLEETCAST_TEST_PYTHON (Keras 3) or
 * FLEETCAST_TEST_PYTHON_KERAS2, or `python3`. Undefined where there is none.
 */
export function pythonWithKeras(generation: 2 | 3): string | undefined {
  const named = process.env[generation === 3 ? 'FLEETCAST_TEST_PYTHON' : 'FLEETCAST_TEST_PYTHON_KERAS2'];
  return [named, 'python3'].find((python) => {
    if (!python) return false;
    const code = `import importlib.metadata as m; print(m.version('keras'))`;
    const { status, stdout } = spawnSync(python, ['-c', code], { encoding: 'utf8' });
    return status === 0 && stdout.startsWith(`${generation}.`);
  });
}

/** Runs keras_models.py. @returns its standard output */
export async function kerasModels(python: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(python, [script, ...args], { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}
