// `npm run demo`: installs what is missing, builds what has changed, and starts the demo with the arguments given.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { installMissing, root } from './install.mjs';

installMissing();
if (outdated()) {
  console.log('building');
  const build = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
  if (build.status !== 0) process.exit(build.status ?? 1);
}
// In this process: whatever signal ends it then ends the demo, cleanly.
const main = join(root, 'dist/cli/main.js');
process.argv.splice(1, 1, main, 'demo');
await import(pathToFileURL(main).href);

function outdated() {
  const built = join(root, 'dist/cli/main.js');
  if (!existsSync(built)) return true;
  return newest(join(root, 'src')) > statSync(built).mtimeMs;
}

function newest(folder) {
  let time = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    time = Math.max(time, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return time;
}
