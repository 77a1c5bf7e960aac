import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A file of the test data set (environment variable FLEETCAST_TEST_DATA), or undefined where it is not at hand. */
export function dataFile(relative: string): string | undefined {
  return find(process.env['FLEETCAST_TEST_DATA'], '../../shared/data/', relative);
}

/** A script that provides a real component (environment variable FLEETCAST_TEST_TOOLS), or undefined. */
export function toolFile(relative: string): string | undefined {
  return find(process.env['FLEETCAST_TEST_TOOLS'], '../../shared/tools/', relative);
}

function find(folder: string | undefined, fallback: string, relative: string): string | undefined {
  const base = folder ?? fileURLToPath(new URL(fallback, import.meta.url));
  const path = `${base.replace(/\/$/, '')}/${relative}`;
  return existsSync(path) ? path : undefined;
}
