// A process with threads of the module beside this file. Arguments: options of EngineThreads as JSON, and after how many
// milliseconds it exits with code 3, in the midst of everything.
import { EngineThreads } from '../../dist/topology/threads/engine-threads.js';

const [options, exitMs] = process.argv.slice(2);
const module = new URL('./threads-module.mjs', import.meta.url);
const threads = new EngineThreads({ module, ...JSON.parse(options) });
await threads.start();
if (exitMs !== undefined) setTimeout(() => process.exit(3), Number(exitMs));
await threads.finished();
await threads.stop();
