import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FORMAT_NAMES } from '../formats/format.ts';
import { PRESETS } from './presets.ts';

it('the page on the mapping names every preset with its base, and every format', () => {
  const page = readFileSync(new URL('../../../docs/mapping.md', import.meta.url), 'utf8');
  for (const { name, base } of PRESETS) {
    expect(page).toContain(`| \`${name}\` | ${base === undefined ? 'none' : `\`${base}\``} |`);
  }
  for (const name of FORMAT_NAMES) expect(page).toContain(`\`${name}\``);
});
