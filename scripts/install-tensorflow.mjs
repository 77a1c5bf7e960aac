// Builds @tensorflow/tfjs-node where its own download fails: the C library comes from the Python wheel of TensorFlow, the
// addon is compiled here. Needs npm, python3 with pip, and g++. About 900 MB on disk; a second run does nothing.
//   npm run tensorflow:install [-- --force] [-- --from FOLDER]
// With --from, the package folder of a TensorFlow that Python has already (…/site-packages/tensorflow, 2.13 to 2.21) is
// linked instead of a download of 207 MB.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const TFJS = '4.22.0';
const WHEEL = 'tensorflow-cpu==2.15.1';
const WHEEL_SHA256 = '54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26';
const HEADERS = 'node-api-headers@1.5.0';

const root = process.env.FLEETCAST_PROJECT ?? fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'node_modules/@tensorflow/tfjs-node');
const run = (command, args, options = {}) => execFileSync(command, args, { stdio: 'inherit', ...options });

function works() {
  const check = `
    const util = require('node:util');
    util.isNullOrUndefined ??= (value) => value === null || value === undefined;
    const tf = require('@tensorflow/tfjs-node');
    const product = tf.matMul([[1, 2], [3, 4]], [[5, 6], [7, 8]]).dataSync();
    if (tf.getBackend() !== 'tensorflow' || product[3] !== 50) process.exit(1);
    console.log('TensorFlow ' + tf.backend().binding.TF_Version + ' through tfjs-node works');`;
  try {
    execFileSync(process.execPath, ['-e', check], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'ignore'],
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' },
    });
    return true;
  } catch {
    return false;
  }
}

function need(command, hint) {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
  } catch {
    console.error(`${command} is needed: ${hint}`);
    process.exit(1);
  }
}

async function sha256(file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Libraries and C headers out of the wheel (a zip), by Python's own reader. */
const EXTRACT = `
import sys, zipfile, os, shutil
wheel, deps = sys.argv[1:3]
wanted = ('tensorflow/include/tensorflow/c/', 'tensorflow/include/tensorflow/core/platform/ctstring',
          'tensorflow/include/tsl/', 'tensorflow/include/xla/tsl/')
with zipfile.ZipFile(wheel) as z:
    for name in z.namelist():
        if name in ('tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2'):
            out = os.path.join(deps, 'lib', os.path.basename(name))
        elif name.endswith('.h') and name.startswith(wanted) and '..' not in name:
            out = os.path.join(deps, name[len('tensorflow/'):])
        else:
            continue
        os.makedirs(os.path.dirname(out), exist_ok=True)
        with z.open(name) as source, open(out, 'wb') as target:
            shutil.copyfileobj(source, target, 1 << 22)
`;

async function download(scratch, deps) {
  const platforms = ['manylinux2014_x86_64', 'manylinux_2_17_x86_64', 'manylinux_2_27_x86_64'];
  run('python3', [
    ...['-m', 'pip', 'download', '-q', '--no-deps', '--only-binary=:all:', '--python-version', '311'],
    ...['--implementation', 'cp', '--abi', 'cp311', ...platforms.flatMap((name) => ['--platform', name])],
    ...['-d', scratch, WHEEL],
  ]);
  const wheel = join(
    scratch,
    readdirSync(scratch).find((name) => name.endsWith('.whl')),
  );
  const found = await sha256(wheel);
  if (found !== WHEEL_SHA256) throw new Error(`the wheel has SHA-256 ${found}, expected ${WHEEL_SHA256}`);
  run('python3', ['-c', EXTRACT, wheel, deps]);
}

function link(folder, deps) {
  for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) {
    if (!existsSync(join(folder, name))) throw new Error(`${folder} does not hold ${name}`);
    symlinkSync(join(folder, name), join(deps, 'lib', name));
  }
  symlinkSync(join(folder, 'include'), join(deps, 'include'));
}

const { values: options } = parseArgs({ options: { force: { type: 'boolean' }, from: { type: 'string' } } });
if (!options.force && works()) process.exit(0);
if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error('this script builds for Linux on x64 only; elsewhere training uses WebAssembly');
  process.exit(1);
}
need('g++', 'apt-get install g++');
need('python3', 'apt-get install python3-pip');

if (!existsSync(join(folder, 'binding.gyp'))) {
  run('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', `@tensorflow/tfjs-node@${TFJS}`], {
    cwd: root,
  });
}
// package.json of tfjs-node lists the versions 3 to 8 of Node-API.
const napi = Math.min(8, Number(process.versions.napi));
const deps = join(folder, 'deps');
const binding = join(folder, `lib/napi-v${napi}/tfjs_binding.node`);
rmSync(deps, { recursive: true, force: true });
rmSync(join(folder, 'lib'), { recursive: true, force: true });
mkdirSync(join(deps, 'lib'), { recursive: true });
mkdirSync(join(folder, `lib/napi-v${napi}`), { recursive: true });

const scratch = mkdtempSync(join(tmpdir(), 'tensorflow-'));
try {
  if (options.from === undefined) await download(scratch, deps);
  else link(resolve(options.from), deps);
  symlinkSync('libtensorflow_cc.so.2', join(deps, 'lib/libtensorflow.so.2'));
  symlinkSync('libtensorflow.so.2', join(deps, 'lib/libtensorflow.so'));
  symlinkSync('libtensorflow_framework.so.2', join(deps, 'lib/libtensorflow_framework.so'));
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--silent', HEADERS], { cwd: scratch, encoding: 'utf8' }),
  );
  run('tar', ['xzf', packed.filename], { cwd: scratch });
  run('g++', [
    ...['-std=c++17', '-O2', '-fPIC', '-shared', `-DNAPI_VERSION=${napi}`, '-DBUILDING_NODE_EXTENSION'],
    ...[`-I${scratch}/package/include`, `-I${deps}/include`, `-I${folder}`],
    ...['binding/tfjs_backend.cc', 'binding/tfjs_binding.cc'].map((source) => join(folder, source)),
    ...[`-L${deps}/lib`, '-ltensorflow', '-ltensorflow_framework'],
    ...['-Wl,-rpath,$ORIGIN/../../deps/lib', '-Wl,--disable-new-dtags', '-o', binding],
  ]);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
createRequire(join(root, 'package.json')).resolve('@tensorflow/tfjs-node');
if (!works()) {
  console.error('the addon was built but does not load; training goes on with WebAssembly');
  process.exit(1);
}
