import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' } as const;
const ASSETS = [
  'index.html',
  'style.css',
  'main.js',
  'fleet.js',
  'chart.js',
  'panels.js',
  'models.js',
  'format.js',
  'icon.svg',
] as const;

/** The page's files by path, read once: nothing outside this list is ever served. The chart library is served as it is. */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const name of ASSETS) {
    const path = fileURLToPath(new URL(`./assets/${name}`, import.meta.url));
    files.set(name === 'index.html' ? '/' : `/${name}`, file(path));
  }
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot'));
  files.set('/vendor/uplot.js', file(join(uplot, 'uPlot.esm.js')));
  files.set('/vendor/uplot.css', file(join(uplot, 'uPlot.min.css')));
  return files;
}

function file(path: string): PageFile {
  const ending = path.slice(path.lastIndexOf('.') + 1) as keyof typeof TYPES;
  return { type: `${TYPES[ending]}; charset=utf-8`, body: readFileSync(path) };
}
