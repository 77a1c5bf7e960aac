import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FleetcastError } from '../../errors.ts';
import { DEMO_CONFIG } from './demo-configuration.ts';

const FILE = 'demo.json';
const VERSION = 1;

/** How far the fleet has come: every message of these hours is on the log. */
export interface DemoPosition {
  readonly version: number;
  readonly seed: number;
  readonly hours: number;
}

/**
 * The position of an earlier run, or undefined in a new folder.
 * @throws DATA_FOLDER_DAMAGED for a folder that is not the demo's, DATA_FOLDER_NEWER
 */
export function openDemoFolder(folder: string): DemoPosition | undefined {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, FILE);
  if (!existsSync(file)) {
    if (readdirSync(folder).length === 0) return undefined;
    throw new FleetcastError('DATA_FOLDER_DAMAGED', `${folder} holds files that are not the demo's`);
  }
  let position: Partial<DemoPosition>;
  try {
    position = JSON.parse(readFileSync(file, 'utf8')) as Partial<DemoPosition>;
  } catch (cause) {
    throw new FleetcastError('DATA_FOLDER_DAMAGED', `${file} is damaged; --fresh begins anew`, { cause });
  }
  const { version, seed, hours } = position;
  if (typeof version === 'number' && version > VERSION) {
    throw new FleetcastError('DATA_FOLDER_NEWER', `${file} has version ${version}, this program knows ${VERSION}`);
  }
  if (version !== VERSION || !Number.isSafeInteger(seed) || !Number.isSafeInteger(hours) || hours! < 0) {
    throw new FleetcastError('DATA_FOLDER_DAMAGED', `${file} is damaged; --fresh begins anew`);
  }
  return { version, seed: seed!, hours: hours! };
}

export function savePosition(folder: string, seed: number, hours: number): void {
  const file = join(folder, FILE);
  writeFileSync(`${file}.new`, `${JSON.stringify({ version: VERSION, seed, hours } satisfies DemoPosition)}\n`);
  renameSync(`${file}.new`, file);
}

/** Removes what an earlier run has left, and nothing that the demo did not make. */
export function clearDemoFolder(folder: string): void {
  for (const name of [FILE, `${FILE}.new`, DEMO_CONFIG, 'log', 'demo.log'])
    rmSync(join(folder, name), { recursive: true, force: true });
}
