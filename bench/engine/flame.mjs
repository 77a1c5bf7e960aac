// npm run bench:flame: a processor profile of the engine's benchmark on the embedded log with one thread (its slowest case),
// as a flame graph in bench/results/. Without arguments it runs itself under the profiler.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { Engine } from '../../dist/topology/engine.js';
import { averages, encodeReading, INTERVAL_MS } from './averages.mjs';

const RECORDS = 1_000_000;
const DEVICES = 1_000;
const WIDTH = 1_600;
const ROW = 17;
/** Narrower frames are left out, in pixels. */
const NARROWEST = 1.5;

const folder = process.argv[2];
if (folder === undefined) profile();
else await work(folder);

function profile() {
  const place = mkdtempSync(join(tmpdir(), 'fleetcast-flame-'));
  try {
    const script = fileURLToPath(import.meta.url);
    const fill = spawnSync(process.execPath, [script, place], { stdio: 'inherit', env: { ...process.env, FILL: '1' } });
    const args = ['--cpu-prof', `--cpu-prof-dir=${place}`, '--cpu-prof-interval=500', script, place];
    const run = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (fill.status !== 0 || run.status !== 0) throw new Error('the profiled run failed');
    const file = readdirSync(place).find((name) => name.endsWith('.cpuprofile'));
    const root = treeOf(JSON.parse(readFileSync(join(place, file), 'utf8')));
    mkdirSync('bench/results', { recursive: true });
    const day = new Date().toISOString().slice(0, 10);
    const title = `Engine, embedded log, one thread, ${RECORDS.toLocaleString('en')} records: ${Math.round(root.ms)} ms of processor time, ${day}`;
    writeFileSync(`bench/results/engine-flame-${day}.svg`, svg(root, title));
    const own = new Map();
    sumOwn(root, own);
    const top = [...own].sort(([, a], [, b]) => b - a).slice(0, 15);
    for (const [name, ms] of top) console.log(`${((ms / root.ms) * 100).toFixed(1).padStart(5)} %  ${name}`);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function work(place) {
  const log = await openEmbeddedLog({ path: join(place, 'log'), maintainEveryMs: 0 });
  if (process.env.FILL === undefined) {
    const until = new Map([['readings/0', RECORDS]]);
    const engine = new Engine({ log, topology: averages(), group: 'flame', until });
    await engine.start();
    await engine.finished();
    await engine.stop();
  } else {
    const topics = ['readings', 'averages', 'dead-letters'];
    await log.ensureTopics(topics.map((name) => ({ name, partitions: 1, cleanup: 'delete' })));
    for (let i = 0; i < RECORDS; ) {
      const batch = [];
      for (; batch.length < 10_000 && i < RECORDS; i++) {
        const time = Date.UTC(2026, 0, 1) + Math.floor(i / DEVICES) * INTERVAL_MS;
        const key = Buffer.from(`device-${i % DEVICES}`);
        batch.push({ topic: 'readings', partition: 0, timestamp: time, key, value: encodeReading(time, i % 97) });
      }
      await log.append(batch);
    }
  }
  await log.close();
}

/** Calls with the same name below the same caller are one frame. */
function treeOf({ nodes, samples, timeDeltas }) {
  const ms = new Map();
  for (const [i, id] of samples.entries()) ms.set(id, (ms.get(id) ?? 0) + timeDeltas[i] / 1000);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const merge = (ids, name) => {
    const children = new Map();
    let own = 0;
    for (const id of ids) {
      own += ms.get(id) ?? 0;
      for (const child of byId.get(id).children ?? []) {
        const called = nameOf(byId.get(child).callFrame);
        if (called !== '(idle)') children.set(called, [...(children.get(called) ?? []), child]);
      }
    }
    const below = [...children].map(([called, list]) => merge(list, called)).sort((a, b) => b.ms - a.ms);
    return { name, own, ms: own + below.reduce((sum, child) => sum + child.ms, 0), children: below };
  };
  return merge([nodes[0].id], 'all');
}

function nameOf({ functionName, url, lineNumber }) {
  const place = url === '' ? '' : ` ${basename(url)}:${lineNumber + 1}`;
  return `${functionName || '(anonymous)'}${place}`;
}

function sumOwn(frame, own) {
  own.set(frame.name, (own.get(frame.name) ?? 0) + frame.own);
  for (const child of frame.children) sumOwn(child, own);
}

function svg(root, title) {
  const rows = [];
  let depth = 0;
  const draw = (frame, x, level) => {
    const width = (frame.ms / root.ms) * WIDTH;
    if (width < NARROWEST) return;
    depth = Math.max(depth, level);
    rows.push({ frame, x, width, level });
    let at = x;
    for (const child of frame.children) {
      draw(child, at, level + 1);
      at += (child.ms / root.ms) * WIDTH;
    }
  };
  draw(root, 0, 0);
  const height = (depth + 3) * ROW;
  const boxes = rows.map(({ frame, x, width, level }) => {
    const y = height - (level + 1) * ROW;
    const share = `${((frame.ms / root.ms) * 100).toFixed(1)} %, ${Math.round(frame.ms)} ms`;
    const text = frame.name.slice(0, Math.floor(width / 6.5));
    const label = width < 30 ? '' : `<text x="${(x + 3).toFixed(1)}" y="${y + 12}">${escaped(text)}</text>`;
    const hue = 20 + ([...frame.name].reduce((sum, char) => sum + char.charCodeAt(0), 0) % 35);
    return `<g><title>${escaped(frame.name)}: ${share}</title><rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="hsl(${hue} 80% 65%)"/>${label}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="11">`,
    `<text x="4" y="14" font-size="13">${escaped(title)}</text>`,
    ...boxes,
    '</svg>\n',
  ].join('\n');
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
