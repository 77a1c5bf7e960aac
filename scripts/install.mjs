// Installs from the lock file what is missing in node_modules; does nothing when all is there.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Packages of the lock file that node_modules lacks or has in another version. Optional ones may be missing. */
export function missingPackages() {
  const hidden = `${root}node_modules/.package-lock.json`;
  const wanted = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')).packages;
  const present = existsSync(hidden) ? JSON.parse(readFileSync(hidden, 'utf8')).packages : {};
  return Object.entries(wanted)
    .filter(([path, entry]) => path !== '' && !entry.optional && !entry.devOptional && !entry.peer)
    .filter(([path, entry]) => present[path]?.version !== entry.version || !existsSync(`${root}${path}`))
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
}

export function installMissing() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  const some = missing.slice(0, 5).join(', ');
  console.log(`installing ${missing.length} packages from the lock file (${some}${missing.length > 5 ? ', …' : ''})`);
  const npm = spawnSync('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (npm.status !== 0) {
    console.error('npm ci failed: see above. Without a network, copy node_modules from a machine that has it.');
    process.exit(1);
  }
}
